/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_fake.h - for unit tests of hw/: a host that remembers what it was told, and an IOMMU that maps
 * one window of flat memory.  Included by one test each; the iotlb functions here stand in for
 * hw/iommu's, which the linker then leaves out.
 */
#ifndef HW_CORE_HW_FAKE_H
#define HW_CORE_HW_FAKE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "hw/core/hw_device.h"
#include "hw/iommu/hw_iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

#define FAKE_MAX 64
#define FAKE_IOVA 0x100000ull
#define FAKE_BYTES 65536u

struct fake_host {
	atomic_uint nr_msi, nr_intx, nr_decode, nr_explain, nr_pages, nr_removed;
	bool link_down;
	u64 addr[FAKE_MAX];
	u32 data[FAKE_MAX];
	atomic_bool intx;
	unsigned nr_aer;
	enum hw_aer_severity aer_severity;
	u32 aer_status;
	char explain[512];
};

static struct fake_host fake;
static u8 fake_ram[FAKE_BYTES];

static void fake_msi(void *host, u64 addr, u32 data)
{
	unsigned n = fake.nr_msi++;

	if (n < FAKE_MAX) {
		fake.addr[n] = addr;
		fake.data[n] = data;
	}
}

static void fake_intx(void *host, bool asserted)
{
	fake.intx = asserted;
	fake.nr_intx++;
}

static void fake_aer(void *host, enum hw_aer_severity severity, u32 status)
{
	fake.nr_aer++;
	fake.aer_severity = severity;
	fake.aer_status = status;
}

/* A model's thread may say something while the test's does. */
static void fake_explain(void *host, const char *text)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	strncpy(fake.explain, text, sizeof(fake.explain) - 1);
	pthread_mutex_unlock(&lock);
	fake.nr_explain++;
}

static void fake_decode(void *host) { fake.nr_decode++; }

static void fake_pages(void *host) { fake.nr_pages++; }
static void fake_link(void *host, bool up) { fake.link_down = !up; }
static void fake_removed(void *host) { fake.nr_removed++; }

static const struct hw_host_ops fake_ops = {
	.pages_changed = fake_pages, .link_changed = fake_link, .removed = fake_removed,
	.msi = fake_msi, .intx = fake_intx, .explain = fake_explain, .decode_changed = fake_decode,
	.aer = fake_aer,
};

/* ---- an IOMMU: [FAKE_IOVA, +FAKE_BYTES) is fake_ram, nothing else is mapped ---- */
struct iotlb *iotlb_create_pasid(struct hw_iommu *iommu, u16 devid, u32 pasid) { return (struct iotlb *)fake_ram; }
struct iotlb *iotlb_create_privileged(struct hw_iommu *iommu, u16 devid, u32 pasid) { return (struct iotlb *)fake_ram; }
void iotlb_destroy(struct iotlb *iotlb) { }
void hw_iommu_hold(struct hw_iommu *iommu) { }
void hw_iommu_let_go(struct hw_iommu *iommu) { }
void hw_iommu_cancel_page_requests(struct hw_iommu *iommu, u16 devid) { }

int hw_iommu_request_pages(struct hw_iommu *iommu, const struct hw_page_request *what, size_t len_bytes,
			   const _Atomic(bool) *enabled)
{
	return -EFAULT;
}

int iotlb_access(struct iotlb *iotlb, u64 iova, void *buf, size_t len, bool write)
{
	u64 off = iova - FAKE_IOVA;
	size_t n;

	if (iova < FAKE_IOVA || off >= FAKE_BYTES)
		return -EFAULT;
	n = min(len, (size_t)(FAKE_BYTES - off)); /* what lies before the bad page is moved */
	if (write)
		memcpy(fake_ram + off, buf, n);
	else
		memcpy(buf, fake_ram + off, n);
	return n == len ? 0 : -EFAULT;
}

/* ---- devices ---- */
static inline struct hw_device *fake_create(const struct hw_model *model, const struct hw_option_kv *options)
{
	memset(&fake, 0, sizeof(fake));
	return hw_device_create(model, "0000:01:00.0", options, &fake_ops, &fake, (struct hw_iommu *)fake_ram,
				0x100);
}

static inline struct hw_device *fake_create_ok(const struct hw_model *model,
					       const struct hw_option_kv *options)
{
	struct hw_device *hw = fake_create(model, options);

	assert_false(IS_ERR(hw));
	return hw;
}

/* Creation must be refused with that errno and a reason in which @text occurs. */
static inline void fake_create_fails(const struct hw_model *model, const struct hw_option_kv *options,
				     int err, const char *text)
{
	struct hw_device *hw;
	const char *why;

	explain_enable();
	explain_begin();
	hw = fake_create(model, options);
	assert_true(IS_ERR(hw));
	assert_int_equal(PTR_ERR(hw), err);
	why = explain_take();
	assert_non_null(why);
	assert_non_null(strstr(why, text));
}

#endif
