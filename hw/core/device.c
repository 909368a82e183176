/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - making and unmaking a device; its options; what a model asks of its surroundings.
 *
 * During create() a model's hw_explain() is the reason why creation fails, and goes where reasons go;
 * afterwards it is an event, and goes to the host.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

static const struct hw_key *find_key(const struct hw_model *model, const char *name)
{
	for (const struct hw_key *k = model->keys; k && k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static int refuse_key(const struct hw_model *model, const char *key)
{
	char known[512] = "";
	size_t len = 0;

	for (const struct hw_key *k = model->keys; k && k->name && len < sizeof(known); k++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", k->name);
	return fail(-EINVAL, "%s has no key %s; it knows %s", model->name, key, len ? known : "none");
}

static int copy_options(struct hw_device *hw, const struct hw_option_kv *options)
{
	unsigned n = 0;

	while (options && options[n].key)
		n++;
	hw->options = calloc(n + 1, sizeof(*hw->options));
	if (!hw->options)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		const struct hw_key *key = find_key(hw->model, options[i].key);

		if (!key)
			return refuse_key(hw->model, options[i].key);
		hw->options[i].key = key->name;
		hw->options[i].value = strdup(options[i].value ? options[i].value : "");
		if (!hw->options[i].value)
			return -ENOMEM;
		hw->nr_options++;
	}
	return 0;
}

/* Everything but what create() and destroy() of the model own. */
static void device_free(struct hw_device *hw)
{
	hw_bar_free(hw);
	hw_irq_free(hw);
	hw_sriov_free(hw);
	free(hw->vpd);
	hw_inject_free(hw);
	for (unsigned i = 0; i < hw->nr_options; i++)
		free((char *)(uintptr_t)hw->options[i].value);
	free(hw->options);
	free(hw->name);
	mutex_destroy(&hw->irq_lock);
	mutex_destroy(&hw->cfg_lock);
	free(hw);
}

static struct hw_device *create(const struct hw_model *model, const char *name,
				const struct hw_option_kv *options, const struct hw_host_ops *host_ops,
				void *host, struct hw_iommu *iommu, u16 devid, struct hw_device *physfn,
				unsigned vf_index)
{
	struct hw_device *hw = calloc(1, sizeof(*hw));
	int err;

	if (!hw)
		return ERR_PTR(-ENOMEM);
	mutex_init(&hw->cfg_lock, LOCK_HW_CONFIG);
	mutex_init(&hw->irq_lock, LOCK_HW_IRQ);
	LIST_INIT(&hw->engines);
	atomic_flag_clear(&hw->resetting);
	hw->model = model;
	hw->host_ops = host_ops;
	hw->host = host;
	hw->iommu = iommu;
	hw->devid = devid;
	hw->physfn = physfn;
	hw->vf_index = vf_index;
	hw->mem_fd = -1;
	hw->cfg_size = HW_CONFIG_BYTES_PCI;
	hw->next_cap = 0x40;
	hw->next_ext_cap = HW_CONFIG_BYTES_PCI;
	hw->irq.msi_granted = 1;
	hw->name = strdup(name);
	err = hw->name ? copy_options(hw, options) : -ENOMEM;
	if (err)
		goto err_free;
	if (model->platform) /* its DMA needs nobody's leave: a command register that is on for good */
		hw->cfg[HW_CFG_COMMAND] = HW_CMD_MASTER;
	hw->creating = true;
	err = model->create(hw);
	if (err > 0 || err < -MAX_ERRNO)
		err = fail(-EINVAL, "%s: create() returned %d, which is neither 0 nor an error", model->name, err);
	hw->creating = false;
	if (err)
		goto err_free;
	hw_config_created(hw);
	if (hw->mem_fd >= 0)
		sys_fcntl(hw->mem_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return hw;

err_free:
	device_free(hw);
	return ERR_PTR(err);
}

struct hw_device *hw_device_create(const struct hw_model *model, const char *name,
				   const struct hw_option_kv *options, const struct hw_host_ops *host_ops,
				   void *host, struct hw_iommu *iommu, u16 devid)
{
	return create(model, name, options, host_ops, host, iommu, devid, NULL, 0);
}

static bool same_bars(const struct hw_device *vf)
{
	const struct hw_sriov *sriov = &vf->physfn->sriov;

	for (unsigned i = 0; i < HW_BARS; i++)
		if (vf->bars[i].size_bytes != sriov->bar_bytes[i] ||
		    (vf->bars[i].size_bytes && vf->bars[i].flags != sriov->bar_flags[i]))
			return false;
	return true;
}

struct hw_device *hw_device_create_vf(struct hw_device *physfn, unsigned index, const char *name,
				      const struct hw_host_ops *host_ops, void *host, struct hw_iommu *iommu,
				      u16 devid)
{
	const struct hw_model *model = physfn->sriov.vf_model;
	struct hw_device *hw = create(model, name, NULL, host_ops, host, iommu, devid, physfn, index);

	if (IS_ERR(hw))
		return hw;
	physfn->vfs[index] = hw;
	if (same_bars(hw))
		return hw;
	hw_device_destroy(hw);
	return ERR_PTR(fail(-EINVAL, "%s: the virtual functions have other BARs than %s announces", model->name,
			    physfn->name));
}

const struct hw_model *hw_device_model(const struct hw_device *hw) { return hw->model; }

void hw_device_destroy(struct hw_device *hw)
{
	if (!hw)
		return;
	if (hw->physfn)
		hw->physfn->vfs[hw->vf_index] = NULL;
	(void)hw_config_master_off(hw);
	hw_dma_stop_waiting(hw);
	if (hw->model->destroy)
		hw->model->destroy(hw);
	hw_log_end(hw);
	device_free(hw);
}

/* ---- what a model asks --------------------------------------------------------------------- */

const char *hw_option(struct hw_device *hw, const char *key)
{
	for (unsigned i = hw->nr_options; i-- > 0;) /* the last one given wins */
		if (!strcmp(hw->options[i].key, key))
			return hw->options[i].value;
	return NULL;
}

/* Digits in any of C's bases, then one of @suffixes (each 1024 times the one before), then the end. */
static int parse_number(const char *text, const char *suffixes, u64 *ret)
{
	const char *suffix;
	char *end;
	u64 val;

	if (*text < '0' || *text > '9') /* strtoull takes blanks and signs, we do not */
		return -EINVAL;
	errno = 0;
	val = strtoull(text, &end, 0);
	if (errno)
		return -ERANGE;
	suffix = *end ? strchr(suffixes, *end & ~0x20) : NULL;
	if (suffix) {
		unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);

		if (val >> (64 - shift))
			return -ERANGE;
		val <<= shift;
		end++;
	}
	if (*end)
		return -EINVAL;
	*ret = val;
	return 0;
}

static int option_number(struct hw_device *hw, const char *key, const char *suffixes, u64 dflt, u64 lo,
			 u64 hi, uint64_t *ret_val)
{
	const char *text = hw_option(hw, key);
	u64 val = dflt;

	if (text && parse_number(text, suffixes, &val))
		return fail(-EINVAL, "%s: %s=%s is no number%s", hw->model->name, key, text,
			    *suffixes ? " (12345, 0x3039, 64K, 1M, 2G, 1T)" : "");
	if (text && (val < lo || val > hi))
		return fail(-EINVAL, "%s: %s=%s is not in [%llu, %llu]", hw->model->name, key, text,
			    (unsigned long long)lo, (unsigned long long)hi);
	*ret_val = val;
	return 0;
}

int hw_option_u64(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t min, uint64_t max,
		  uint64_t *ret_val)
{
	return option_number(hw, key, "", dflt, min, max, ret_val);
}

int hw_option_size(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t min, uint64_t max,
		   uint64_t *ret_val)
{
	return option_number(hw, key, "KMGT", dflt, min, max, ret_val);
}

int hw_store_open(struct hw_device *hw, const char *name, uint64_t size_bytes)
{
	if (!hw->host_ops->store_open)
		return fail(-ENODEV, "this host keeps no files for devices");
	return hw->host_ops->store_open(hw->host, name, size_bytes);
}

void hw_set_private(struct hw_device *hw, void *priv) { hw->priv = priv; }
void *hw_private(const struct hw_device *hw) { return hw->priv; }
const char *hw_name(const struct hw_device *hw) { return hw->name; }

void hw_explain(struct hw_device *hw, const char *fmt, ...)
{
	char text[512];
	int len;
	va_list ap;

	if (likely(!explain_enabled))
		return;
	len = snprintf(text, sizeof(text), "%s: ", hw->name);
	va_start(ap, fmt);
	vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, ap);
	va_end(ap);
	if (hw->creating || atomic_load(&hw->saving))
		explain_reason(0, "%s", text);
	else if (hw->host_ops->explain)
		hw->host_ops->explain(hw->host, text);
}

void hw_stats_get(struct hw_device *hw, struct hw_stats *ret)
{
	memset(ret, 0, sizeof(*ret));
	hw_dma_stats(hw, ret);
	ret->msi_sent = atomic_load(&hw->msi_sent);
	ret->intx_raised = atomic_load(&hw->intx_raised);
	ret->bar_reads = atomic_load(&hw->bar_reads);
	ret->bar_writes = atomic_load(&hw->bar_writes);
	ret->injected = atomic_load(&hw->injected);
}
