/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - what a machine is made of, as the user says it.
 *
 * There are two ways to say it, "-d edu,group=3" and a section of a machine file.  Both become a list
 * of key and value, and one function checks that list and turns it into a device.
 *
 * A model is one of ours by its name, or a plugin by a path; machine.ini has its absolute path.
 *
 * The machine's own keys are model, addr, driver, group, inject, packed, and bus for a root port; a platform device has
 * name and stream instead of addr.  All others are the model's, which checks their values when the device is
 * made.  A model's key that has the name of
 * one of ours is written with the model's name before it ("nvme.model"); in "-d nvme,model=X", where
 * the model was named already, it needs none.  Whatever is wrong is said in one line that names the
 * key and what would be right.
 *
 * Files are read through sys.h, not stdio: a program's own open() may be on our stack.
 */
#include "machine/machine_priv.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

#define MAX_KEYS 32
#define DEFAULT_AW_BITS 48u
#define MAX_LINE (INI_MAX_LINE - 3) /* inih's buffer holds a line, its end and a NUL */
#define MAX_FILE (1u << 20)

struct kv {
	char *key, *value;
	int line; /* of the file; 0 on the command line */
};

/* One device as it was said. */
struct words {
	struct kv kv[MAX_KEYS];
	unsigned nr;
};

/* ---- the list of devices ------------------------------------------------------------------- */

struct machine_config *machine_config_new(void)
{
	struct machine_config *cfg = calloc(1, sizeof(*cfg));

	if (!cfg)
		return NULL;
	cfg->devices = calloc(MACHINE_MAX_DEVICES, sizeof(*cfg->devices));
	if (!cfg->devices) {
		free(cfg);
		return NULL;
	}
	cfg->nr_iommus = 1;
	return cfg;
}

static void device_config_clear(struct device_config *dev)
{
	for (unsigned i = 0; i < dev->nr_options; i++)
		free((char *)(uintptr_t)dev->options[i].value);
	free(dev->options);
	free(dev->name);
	free(dev->driver);
	free(dev->inject);
	memset(dev, 0, sizeof(*dev));
}

void machine_config_free(struct machine_config *cfg)
{
	if (!cfg)
		return;
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		device_config_clear(&cfg->devices[i]);
	free(cfg->devices);
	free(cfg);
}

struct device_config *machine_config_append(struct machine_config *cfg, const struct hw_model *model)
{
	struct device_config *dev;

	if (cfg->nr_devices == MACHINE_MAX_DEVICES) {
		(void)fail(-EINVAL, "a machine has at most %u devices, root ports included",
			   MACHINE_MAX_DEVICES);
		return NULL;
	}
	dev = &cfg->devices[cfg->nr_devices++];
	*dev = (struct device_config){.model = model, .devid = -1, .group = -1, .bus = -1, .iommu = -1};
	return dev;
}

struct device_config *machine_config_find(const struct machine_config *cfg, int devid)
{
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		if (cfg->devices[i].devid == devid)
			return &cfg->devices[i];
	return NULL;
}

bool device_config_is_port(const struct device_config *dev)
{
	return dev->model == &root_port_model;
}

bool pci_driver_is_vfio(const char *name)
{
	return !strcmp(name, "vfio-pci") || !strcmp(name, "soft_vfio_pci");
}

const char *device_config_driver(const struct device_config *dev)
{
	if (dev->driver)
		return dev->driver;
	return device_config_is_port(dev) ? host_driver_of(dev->model) : vfio_driver_of(dev->model);
}

const char *devid_print(int devid, char buf[static ADDR_BYTES])
{
	snprintf(buf, ADDR_BYTES, "0000:%02x:%02x.%x", devid >> 8 & 0xff, devid >> 3 & 0x1f, devid & 7);
	return buf;
}

/* ---- the machine's keys ---------------------------------------------------------------------- */

/* Hexadecimal digits, exactly @len of them. */
static bool hex_field(const char *s, unsigned len, unsigned *ret)
{
	unsigned val = 0;

	for (unsigned i = 0; i < len; i++) {
		char c = s[i] | 0x20;

		if (c >= '0' && c <= '9')
			val = val << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			val = val << 4 | (unsigned)(c - 'a' + 10);
		else
			return false;
	}
	*ret = val;
	return true;
}

static int parse_addr(const char *text, int *ret_devid)
{
	unsigned domain, bus, slot, func;

	if (strlen(text) != ADDR_BYTES - 1 || text[4] != ':' || text[7] != ':' || text[10] != '.' ||
	    !hex_field(text, 4, &domain) || !hex_field(text + 5, 2, &bus) || !hex_field(text + 8, 2, &slot) ||
	    !hex_field(text + 11, 1, &func) || slot > 31 || func > 7)
		return fail(-EINVAL, "addr=%s is no PCI address; write it as 0000:05:00.0", text);
	if (domain)
		return fail(-EINVAL, "addr=%s: a machine has PCI domain 0000 only", text);
	if (bus == 0 && slot == 0)
		return fail(-EINVAL, "addr=%s: slot 0 of bus 0 is the host bridge's", text);
	*ret_devid = DEVID(bus, slot, func);
	return 0;
}

static int parse_uint(const char *key, const char *text, unsigned lo, unsigned hi, int *ret)
{
	unsigned long val;
	char *end;

	errno = 0;
	val = strtoul(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || errno || val < lo || val > hi)
		return fail(-EINVAL, "%s=%s is not a number in [%u, %u]", key, text, lo, hi);
	*ret = (int)val;
	return 0;
}

static int set_driver(struct device_config *dev, const char *name)
{
	const char *host = host_driver_of(dev->model), *vfio = vfio_driver_of(dev->model);
	bool port = device_config_is_port(dev), pci = !strcmp(vfio, "vfio-pci");
	bool any = !port && (!strcmp(name, vfio) || (pci && pci_driver_is_vfio(name)));

	if (!any && strcmp(name, "none") && !host_driver_fits(name, dev->model))
		return fail(-EINVAL, "driver=%s: %s takes %s%s%s%s%snone", name, dev->model->name, port ? "" : vfio,
			    port ? "" : ", ", pci && !port ? "soft_vfio_pci, " : "", host ? host : "",
			    host ? ", " : "");
	dev->driver = strdup(name);
	return dev->driver ? 0 : -ENOMEM;
}

static int set_inject(struct device_config *dev, const char *text)
{
	int err = hw_inject_check(text);

	if (err)
		return err;
	dev->inject = strdup(text);
	return dev->inject ? 0 : -ENOMEM;
}

static int refuse_key(const struct device_config *dev, const char *key)
{
	char known[512];
	size_t len = (size_t)snprintf(known, sizeof(known), "%s, group, driver, iommu, inject",
			       dev->model->platform ? "name, stream" : "addr");

	if (device_config_is_port(dev))
		len += (size_t)snprintf(known + len, sizeof(known) - len, ", bus");
	for (const struct hw_key *k = dev->model->keys; k && k->name && len < sizeof(known); k++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, ", %s", k->name);
	return fail(-EINVAL, "%s has no key %s; it knows %s, packed", dev->model->name, key, known);
}

static bool names_a_file(const struct hw_key *key)
{
	return !strcmp(key->value, "FILE") || !strcmp(key->value, "PATH");
}

/* Programs that attach later stand in other directories. */
static char *absolute_path(const char *path)
{
	char cwd[4096], *abs;

	if (path[0] == '/')
		return strdup(path);
	if (sys_getcwd(cwd, sizeof(cwd)) < 0 || asprintf(&abs, "%s/%s", cwd, path) < 0)
		return NULL;
	return abs;
}

static int set_option(struct device_config *dev, const char *key, const char *value)
{
	const struct hw_key *k = dev->model->keys;
	char *copy;

	while (k && k->name && strcmp(k->name, key))
		k++;
	if (!k || !k->name)
		return refuse_key(dev, key);
	copy = names_a_file(k) ? absolute_path(value) : strdup(value);
	if (!copy)
		return -ENOMEM;
	if (strlen(dev->model->name) + strlen(key) + strlen(copy) > MAX_LINE - strlen(". = ")) {
		free(copy);
		return fail(-EINVAL, "%s=%s does not fit in a line of %d bytes of machine.ini", key, value,
			    MAX_LINE);
	}
	dev->options[dev->nr_options++] = (struct hw_option_kv){k->name, copy};
	return 0;
}

static bool is_our_key(const struct device_config *dev, const char *key)
{
	static const char *const ours[] = {"model", "addr", "group", "driver", "inject", "iommu", "packed"};
	static const char *const platform[] = {"name", "stream"};

	for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
		if (!strcmp(ours[i], key))
			return true;
	for (unsigned i = 0; dev->model->platform && i < ARRAY_SIZE(platform); i++)
		if (!strcmp(platform[i], key))
			return true;
	return device_config_is_port(dev) && !strcmp(key, "bus");
}

/* Behind the model's name and a dot; NULL if the key does not begin so. */
static const char *without_prefix(const struct device_config *dev, const char *key)
{
	size_t len = strlen(dev->model->name);

	return !strncmp(key, dev->model->name, len) && key[len] == '.' ? key + len + 1 : NULL;
}

static int set_stream(struct machine_config *cfg, struct device_config *dev, const char *value)
{
	int err, stream = -1;

	err = parse_uint("stream", value, 0, 0xffff, &stream);
	if (err)
		return err;
	if (machine_config_find(cfg, stream))
		return fail(-EINVAL, "stream=%s is another device's id to the IOMMU", value);
	dev->devid = stream;
	return 0;
}

static int set_key(struct machine_config *cfg, struct device_config *dev, const struct kv *kv)
{
	char addr[ADDR_BYTES];
	int err, devid = -1;

	if (without_prefix(dev, kv->key))
		return set_option(dev, without_prefix(dev, kv->key), kv->value);
	if (!is_our_key(dev, kv->key))
		return set_option(dev, kv->key, kv->value);
	if (!strcmp(kv->key, "model"))
		return 0;
	if (!strcmp(kv->key, "group"))
		return parse_uint("group", kv->value, 0, MACHINE_MAX_GROUP, &dev->group);
	if (!strcmp(kv->key, "iommu"))
		return parse_uint("iommu", kv->value, 0, MACHINE_MAX_IOMMUS - 1, &dev->iommu);
	if (!strcmp(kv->key, "driver"))
		return set_driver(dev, kv->value);
	if (!strcmp(kv->key, "inject"))
		return set_inject(dev, kv->value);
	if (!strcmp(kv->key, "packed"))
		return parse_uint("packed", kv->value, 0, 1, &dev->packed);
	if (!strcmp(kv->key, "bus"))
		return parse_uint("bus", kv->value, 1, 255, &dev->bus);
	if (!strcmp(kv->key, "stream"))
		return set_stream(cfg, dev, kv->value);
	if (dev->model->platform && !kv->line && !strcmp(kv->key, "addr"))
		return fail(-EINVAL, "addr=%s: a platform device has no PCI address; it takes name=", kv->value);
	if (dev->model->platform) /* in a file addr is what stands behind "device" */
		return platform_config_set_name(cfg, dev, kv->value);
	err = parse_addr(kv->value, &devid);
	if (err)
		return err;
	if (machine_config_find(cfg, devid))
		return fail(-EINVAL, "addr=%s is given to two devices", devid_print(devid, addr));
	if (device_config_is_port(dev) && DEVID_BUS(devid))
		return fail(-EINVAL, "addr=%s: a root port sits on bus 00", kv->value);
	dev->devid = devid;
	return 0;
}

/* ---- the IOMMU ------------------------------------------------------------------------------- */

static int iommu_set_kind(struct iommu_config *iommu, const char *value)
{
	if (!strcmp(value, "amd"))
		*iommu = (struct iommu_config){MACHINE_IOMMU_AMD, 0, IOMMU_BASIC};
	else if (!strcmp(value, "intel"))
		*iommu = (struct iommu_config){MACHINE_IOMMU_INTEL, DEFAULT_AW_BITS, IOMMU_BASIC};
	else if (!strcmp(value, "virtio"))
		*iommu = (struct iommu_config){MACHINE_IOMMU_VIRTIO, 0, IOMMU_BASIC};
	else if (!strcmp(value, "none"))
		*iommu = (struct iommu_config){MACHINE_IOMMU_NONE, 0, IOMMU_BASIC};
	else
		return fail(-EINVAL, "iommu=%s: there are amd, intel, virtio and none", value);
	return 0;
}

static int iommu_set_aw_bits(struct iommu_config *iommu, const char *value)
{
	if (iommu->kind != MACHINE_IOMMU_INTEL)
		return fail(-EINVAL, "aw-bits=%s: only iommu=intel has that choice, and it must be said before",
			    value);
	if (strcmp(value, "39") && strcmp(value, "48") && strcmp(value, "57"))
		return fail(-EINVAL, "aw-bits=%s: VT-d has addresses of 39, 48 or 57 bits", value);
	iommu->aw_bits = (unsigned)atoi(value);
	return 0;
}

static int iommu_set_features(struct iommu_config *iommu, const char *value)
{
	if (strcmp(value, "basic") && strcmp(value, "full"))
		return fail(-EINVAL, "features=%s: there are basic and full", value);
	if (iommu->kind == MACHINE_IOMMU_NONE)
		return fail(-EINVAL, "features=%s: there is no IOMMU to have them", value);
	if (iommu->kind == MACHINE_IOMMU_VIRTIO && strcmp(value, "basic"))
		return fail(-EINVAL, "features=%s: a virtio IOMMU translates, and that is all", value);
	iommu->features = !strcmp(value, "full") ? IOMMU_FULL : IOMMU_BASIC;
	return 0;
}

static int iommu_set_key(struct iommu_config *iommu, const char *key, const char *value)
{
	if (!strcmp(key, "kind"))
		return iommu_set_kind(iommu, value);
	if (!strcmp(key, "aw-bits"))
		return iommu_set_aw_bits(iommu, value);
	if (!strcmp(key, "features"))
		return iommu_set_features(iommu, value);
	return fail(-EINVAL, "\"%s\" is no key of an IOMMU; there are aw-bits=39, 48 or 57 (of intel) and "
		    "features=basic or full", key);
}

/* One "key=value" of @len bytes. */
static int iommu_set_text(struct iommu_config *iommu, const char *text, size_t len)
{
	char word[64], *value;

	if (len >= sizeof(word))
		return fail(-EINVAL, "\"%.40s...\" is no key of an IOMMU", text);
	memcpy(word, text, len);
	word[len] = '\0';
	value = strchr(word, '=');
	if (!value)
		return fail(-EINVAL, "\"%s\" is not key=value", word);
	*value = '\0';
	return iommu_set_key(iommu, word, value + 1);
}

int machine_config_set_iommu(struct machine_config *cfg, const char *text)
{
	size_t len = strcspn(text, ",");
	struct iommu_config iommu;
	char kind[16];
	int err;

	if (cfg->nr_said == MACHINE_MAX_IOMMUS)
		return fail(-EINVAL, "a machine has at most %u IOMMUs", MACHINE_MAX_IOMMUS);
	snprintf(kind, sizeof(kind), "%.*s", (int)min(len, sizeof(kind) - 1), text);
	err = iommu_set_kind(&iommu, kind);
	for (text += len; !err && *text; text += len) {
		text++; /* the comma */
		len = strcspn(text, ",");
		err = iommu_set_text(&iommu, text, len);
	}
	if (err)
		return err;
	cfg->iommus[cfg->nr_said++] = iommu;
	cfg->nr_iommus = max(cfg->nr_iommus, cfg->nr_said);
	return 0;
}

int machine_config_set_param(struct machine_config *cfg, const char *name, const char *value)
{
	const bool yes = !strcmp(value, "Y") || !strcmp(value, "1"), no = !strcmp(value, "N") || !strcmp(value, "0");

	if (strcmp(name, "vfio_platform.reset_required"))
		return fail(-EINVAL, "%s is no parameter of a module; there is vfio_platform.reset_required", name);
	if (!yes && !no)
		return fail(-EINVAL, "%s=%s is neither Y nor N", name, value);
	cfg->reset_not_required = no;
	return 0;
}

int machine_config_add_param(struct machine_config *cfg, const char *text)
{
	const size_t len = strcspn(text, "=");
	char name[64];

	if (!text[len] || len >= sizeof(name))
		return fail(-EINVAL, "\"%.80s\" is not MODULE.PARAMETER=VALUE", text);
	memcpy(name, text, len);
	name[len] = '\0';
	return machine_config_set_param(cfg, name, text + len + 1);
}

static int set_machine_key(struct machine_config *cfg, const char *name, const char *value)
{
	if (strchr(name, '.'))
		return machine_config_set_param(cfg, name, value);
	if (!strcmp(name, "iommu"))
		return iommu_set_kind(&cfg->iommus[0], value);
	if (!strcmp(name, "aw-bits") || !strcmp(name, "features"))
		return iommu_set_key(&cfg->iommus[0], name, value);
	return fail(-EINVAL, "[machine] has no key %s; it knows iommu, aw-bits and features", name);
}

/* ---- words to a device ----------------------------------------------------------------------- */

static void words_clear(struct words *words)
{
	for (unsigned i = 0; i < words->nr; i++) {
		free(words->kv[i].key);
		free(words->kv[i].value);
	}
	words->nr = 0;
}

static const struct kv *words_find(const struct words *words, const char *key)
{
	for (unsigned i = 0; i < words->nr; i++)
		if (!strcmp(words->kv[i].key, key))
			return &words->kv[i];
	return NULL;
}

/* What would not survive being written to machine.ini and read again is refused at once. */
static bool value_is_plain(const char *value)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == ';')
			return false;
	return value[0] != ' ' && strlen(value) < MAX_LINE && (!*value || value[strlen(value) - 1] != ' ');
}

static int words_add(struct words *words, const char *key, size_t key_len, const char *value,
		     size_t value_len, int line)
{
	struct kv kv = {.line = line};

	if (words->nr == MAX_KEYS)
		return fail(-EINVAL, "more than %u keys for one device", MAX_KEYS);
	kv.key = strndup(key, key_len);
	kv.value = strndup(value, value_len);
	if (!kv.key || !kv.value) {
		free(kv.key);
		free(kv.value);
		return -ENOMEM;
	}
	if (!words_find(words, kv.key) && value_is_plain(kv.value)) {
		words->kv[words->nr++] = kv;
		return 0;
	}
	if (words_find(words, kv.key))
		(void)fail(-EINVAL, "%s is given twice", kv.key);
	else
		(void)fail(
			-EINVAL,
			"the value of %s is too long, or has a semicolon, control character or outer blank",
			kv.key);
	free(kv.key);
	free(kv.value);
	return -EINVAL;
}

static int no_model(const char *name)
{
	char known[256] = "";
	size_t len = 0;

	for (const struct hw_model *const *m = hw_models; *m && len < sizeof(known); m++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
					(*m)->name);
	return fail(-EINVAL, "no device model \"%s\"; there are %s, and plugins by their path (./my.so)", name, known);
}

/* A built-in model by its name; a plugin by a path, which has a slash. */
static const struct hw_model *find_model(const char *name)
{
	const struct hw_model *model;
	char *path;

	if (!strchr(name, '/')) {
		model = hw_model_find(name);
		return model ? model : ERR_PTR(no_model(name));
	}
	path = absolute_path(name);
	if (!path)
		return ERR_PTR(-ENOMEM);
	model = strlen(path) <= MAX_LINE - strlen("model = ")
			? hw_plugin_load(path)
			: ERR_PTR(fail(-EINVAL, "the path of a plugin does not fit in a line of %d bytes", MAX_LINE));
	free(path);
	return model;
}

/* *@ret_line: the line of the word that is wrong. */
static int words_commit(struct machine_config *cfg, const struct words *words, int *ret_line)
{
	const struct kv *kv = words_find(words, "model");
	const struct hw_model *model;
	struct device_config *dev;
	int err = 0;

	if (!kv)
		return fail(-EINVAL, "a device needs a model");
	*ret_line = kv->line;
	model = find_model(kv->value);
	if (IS_ERR(model))
		return (int)PTR_ERR(model);
	dev = machine_config_append(cfg, model);
	if (!dev)
		return -EINVAL;
	dev->options = calloc(MAX_KEYS + 1, sizeof(*dev->options));
	if (!dev->options)
		err = -ENOMEM;
	for (unsigned i = 0; !err && i < words->nr; i++) {
		*ret_line = words->kv[i].line;
		err = set_key(cfg, dev, &words->kv[i]);
	}
	if (err) {
		device_config_clear(dev);
		cfg->nr_devices--;
	}
	return err;
}

/* One "key=value" of a device text that began with the @model_len bytes at @model. */
static int words_add_text(struct words *words, const char *model, size_t model_len, const char *text,
			  size_t len)
{
	size_t key_len = strcspn(text, "=,");
	char *own;
	int err;

	if (key_len == 0 || key_len == len)
		return fail(-EINVAL, "\"%.*s\" is not key=value", (int)min(len, (size_t)64), text);
	if (key_len != strlen("model") || strncmp(text, "model", key_len))
		return words_add(words, text, key_len, text + key_len + 1, len - key_len - 1, 0);
	if (asprintf(&own, "%.*s.model", (int)model_len, model) < 0)
		return -ENOMEM;
	err = words_add(words, own, strlen(own), text + key_len + 1, len - key_len - 1, 0);
	free(own);
	return err;
}

int machine_config_add(struct machine_config *cfg, const char *text)
{
	const char *model = text;
	size_t model_len = strcspn(text, ",");
	struct words words = {.nr = 0};
	size_t len = model_len;
	int line, err;

	err = words_add(&words, "model", 5, text, len, 0);
	for (text += len; !err && *text; text += len) {
		text++; /* the comma */
		len = strcspn(text, ",");
		err = words_add_text(&words, model, model_len, text, len);
	}
	if (!err)
		err = words_commit(cfg, &words, &line);
	words_clear(&words);
	return err;
}

/* ---- machine files ------------------------------------------------------------------------- */

/* A file on its way in: inih calls back for text, line by line, and for each key=value. */
struct parse {
	struct machine_config *cfg;
	const char *text; /* what is not read yet */
	int line;
	bool in_device;	  /* a section [device ...] is under way: words are its keys */
	struct iommu_config *iommu; /* a section [iommu N] is; NULL: none */
	int section_line; /* where the section under way began; it is under way from its first key on */
	int header_line;  /* the last line that began with '[' */
	bool header_device; /* and it was of a device */
	struct words words;
	int err, err_line;
};

static void parse_fail(struct parse *p, int err, int line)
{
	if (!p->err) {
		p->err = err;
		p->err_line = line;
	}
}

/* The section is over: what was said of a device becomes one. */
static void section_end(struct parse *p)
{
	int err, line = p->section_line;

	if (p->in_device && !p->err) {
		err = words_commit(p->cfg, &p->words, &line);
		if (err)
			parse_fail(p, err, line);
	}
	words_clear(&p->words);
	p->in_device = false;
	p->iommu = NULL;
}

/* A section without a key never comes to parse_key(); of a device that is a mistake. */
static void check_not_empty(struct parse *p)
{
	if (p->header_device && p->header_line > p->section_line)
		parse_fail(p, fail(-EINVAL, "a device needs a model, and this section is empty"),
			   p->header_line);
}

/* fgets() over the text; keeps count of lines, and of sections even if they are empty. */
static char *parse_next_line(char *buf, int size, void *stream)
{
	struct parse *p = stream;
	size_t len = strcspn(p->text, "\n"), blank = strspn(p->text, " \t");

	if (!*p->text || p->err)
		return NULL;
	p->line++;
	if (len + 2 > (size_t)size) {
		parse_fail(p, fail(-EINVAL, "the line is longer than %d bytes", size - 2), p->line);
		return NULL;
	}
	if (p->text[blank] == '[') {
		check_not_empty(p);
		p->header_line = p->line;
		p->header_device = !strncmp(p->text + blank, "[device", strlen("[device"));
	}
	memcpy(buf, p->text, len);
	buf[len] = '\0';
	p->text += len + (p->text[len] == '\n');
	return buf;
}

/* The next unit, or one that is there already. */
static int iommu_begin(struct parse *p, const char *number)
{
	int n, err = parse_uint("[iommu N], N", number, 0, MACHINE_MAX_IOMMUS - 1, &n);

	if (err)
		return err;
	if ((unsigned)n > p->cfg->nr_iommus)
		return fail(-EINVAL, "[iommu %d]: units are numbered without a gap, the next one is %u", n,
			    p->cfg->nr_iommus);
	p->cfg->nr_iommus = max(p->cfg->nr_iommus, (unsigned)n + 1);
	p->iommu = &p->cfg->iommus[n];
	return 0;
}

static int section_begin(struct parse *p, const char *section)
{
	const char *addr = section + strlen("device");

	section_end(p);
	p->section_line = p->header_line;
	if (!strcmp(section, "machine"))
		return 0;
	if (!strncmp(section, "iommu ", strlen("iommu ")))
		return iommu_begin(p, section + strlen("iommu "));
	if (strncmp(section, "device", strlen("device")) || (*addr && *addr != ' '))
		return fail(-EINVAL, "section [%s]: there are [machine], [iommu N] and [device ADDRESS]", section);
	p->in_device = true;
	addr += strspn(addr, " ");
	return *addr ? words_add(&p->words, "addr", 4, addr, strlen(addr), p->section_line) : 0;
}

static int parse_key(void *user, const char *section, const char *name, const char *value)
{
	struct parse *p = user;
	int err = 0;

	if (p->err)
		return 0;
	if (!p->header_line)
		err = fail(-EINVAL, "%s stands before any section", name);
	else if (p->section_line != p->header_line)
		err = section_begin(p, section);
	if (!err && !p->err && p->in_device)
		err = words_add(&p->words, name, strlen(name), value, strlen(value), p->line);
	else if (!err && !p->err && p->iommu)
		err = iommu_set_key(p->iommu, name, value);
	else if (!err && !p->err)
		err = set_machine_key(p->cfg, name, value);
	if (err)
		parse_fail(p, err, p->line);
	return !p->err;
}

static char *read_file(const char *file)
{
	int fd = sys_open(file, O_RDONLY | O_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n = 0;
	char *text;

	if (fd < 0)
		return ERR_PTR(fail(fd, "%s: %s", file, strerror(-fd)));
	text = malloc(MAX_FILE);
	while (text && len < MAX_FILE - 1) {
		n = sys_read(fd, text + len, MAX_FILE - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	sys_close(fd);
	if (!text)
		return ERR_PTR(-ENOMEM);
	if (n > 0)
		n = fail(-EINVAL, "%s is no machine file: it is longer than %u bytes", file, MAX_FILE);
	else if (n == 0 && memchr(text, 0, len))
		n = fail(-EINVAL, "%s is no machine file: it has NUL bytes", file);
	else if (n < 0)
		(void)fail((int)n, "%s: %s", file, strerror(-(int)n));
	if (n) {
		free(text);
		return ERR_PTR(n);
	}
	text[len] = '\0';
	return text;
}

/* Put the place in front of the reason. */
static int fail_at(int err, const char *file, int line)
{
	const char *why = explain_take();
	char reason[1024];

	snprintf(reason, sizeof(reason), "%s", why ? why : strerror(-err));
	explain_begin();
	return fail(err, "%s:%d: %s", file, line, reason);
}

int machine_config_load(struct machine_config *cfg, const char *file)
{
	struct parse p = {.cfg = cfg};
	char *text = read_file(file);
	const struct machine_config iommus_before = *cfg;
	unsigned before = cfg->nr_devices;
	int bad_line;

	if (IS_ERR(text))
		return (int)PTR_ERR(text);
	p.text = text;
	bad_line = ini_parse_stream(parse_next_line, &p, parse_key, &p);
	if (bad_line && (!p.err || bad_line < p.err_line)) {
		explain_begin(); /* inih's own finding comes first; what else there is comes of it */
		p.err = fail(-EINVAL, "neither a [section] nor key = value");
		p.err_line = bad_line;
	}
	if (!p.err)
		check_not_empty(&p);
	section_end(&p);
	free(text);
	if (!p.err)
		return 0;
	while (cfg->nr_devices > before)
		device_config_clear(&cfg->devices[--cfg->nr_devices]);
	memcpy(cfg->iommus, iommus_before.iommus, sizeof(cfg->iommus));
	cfg->nr_iommus = iommus_before.nr_iommus;
	return fail_at(p.err, file, p.err_line);
}

/* ---- saving -------------------------------------------------------------------------------- */

static void print_device(FILE *out, const struct device_config *dev)
{
	const char *plugin = hw_plugin_path(dev->model);
	char addr[ADDR_BYTES];

	if (dev->name)
		fprintf(out, "\n[device %s]\n", dev->name);
	else if (dev->devid >= 0 && !dev->model->platform)
		fprintf(out, "\n[device %s]\n", devid_print(dev->devid, addr));
	else
		fprintf(out, "\n[device]\n");
	fprintf(out, "model = %s\ndriver = %s\n", plugin ? plugin : dev->model->name, device_config_driver(dev));
	if (dev->group >= 0)
		fprintf(out, "group = %d\n", dev->group);
	if (dev->packed)
		fprintf(out, "packed = 1\n");
	if (dev->bus >= 0)
		fprintf(out, "bus = %d\n", dev->bus);
	if (dev->iommu > 0)
		fprintf(out, "iommu = %d\n", dev->iommu);
	if (dev->model->platform && dev->devid >= 0)
		fprintf(out, "stream = 0x%04x\n", (unsigned)dev->devid);
	if (dev->inject)
		fprintf(out, "inject = %s\n", dev->inject);
	for (unsigned i = 0; i < dev->nr_options; i++) {
		if (is_our_key(dev, dev->options[i].key))
			fprintf(out, "%s.", dev->model->name);
		fprintf(out, "%s = %s\n", dev->options[i].key, dev->options[i].value);
	}
}

static int write_file(const char *dir, const char *name, const char *text, size_t len)
{
	char path[4096];
	ssize_t n = 0;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return fail(-ENAMETOOLONG, "the name of %s is too long", dir);
	fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail(fd, "%s: %s", path, strerror(-fd));
	for (size_t done = 0; done < len; done += (size_t)n) {
		n = sys_write(fd, text + done, len - done);
		if (n < 0)
			break;
	}
	sys_close(fd);
	return n < 0 ? fail((int)n, "%s: %s", path, strerror(-(int)n)) : 0;
}

/* Behind the name of the key that has its kind. */
static void print_iommu(FILE *out, const struct iommu_config *iommu)
{
	static const char *const names[] = {
		[MACHINE_IOMMU_AMD] = "amd", [MACHINE_IOMMU_INTEL] = "intel", [MACHINE_IOMMU_VIRTIO] = "virtio",
		[MACHINE_IOMMU_NONE] = "none",
	};

	fprintf(out, " = %s\n", names[iommu->kind]);
	if (iommu->aw_bits)
		fprintf(out, "aw-bits = %u\n", iommu->aw_bits);
	if (iommu->features == IOMMU_FULL)
		fprintf(out, "features = full\n");
}

int machine_config_save(const struct machine_config *cfg, const char *dir)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int err;

	if (!out)
		return -ENOMEM;
	fprintf(out, "[machine]\niommu");
	print_iommu(out, &cfg->iommus[0]);
	if (cfg->reset_not_required)
		fprintf(out, "vfio_platform.reset_required = N\n");
	for (unsigned i = 1; i < cfg->nr_iommus; i++) {
		fprintf(out, "\n[iommu %u]\nkind", i);
		print_iommu(out, &cfg->iommus[i]);
	}
	for (unsigned i = 0; i < cfg->nr_devices; i++)
		print_device(out, &cfg->devices[i]);
	err = ferror(out);
	if (fclose(out) || err) {
		free(text);
		return -ENOMEM;
	}
	err = write_file(dir, "machine.ini", text, len);
	free(text);
	return err;
}
