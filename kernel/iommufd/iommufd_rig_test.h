/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd_rig_test.h - what the tests of this folder share: /dev/iommu on a machine in a directory of its own.
 *
 * Real are the tree, the IOMMU groups and page tables, and iommufd; there are two devices, each in a group
 * of its own behind an AMD unit that nobody asks anything.  A call goes through t_open(), t_ioctl() and
 * t_close() as a program's would.  t_fails() asserts the errno and that there is a reason; t_works() that
 * it works.
 */
#ifndef KERNEL_IOMMUFD_IOMMUFD_RIG_TEST_H
#define KERNEL_IOMMUFD_IOMMUFD_RIG_TEST_H

#include "kernel/iommu/rig_test.h"
#include "kernel/iommufd/iommufd_private.h"
#include "kernel/mm/pins.h"
#include "kernel/mm/vma.h"

static T_UNUSED int t_open(void)
{
	return t_open_flags("iommu", O_RDWR);
}

/* The context behind a descriptor; it lives as long as the descriptor is open. */
static T_UNUSED struct iommufd_ctx *t_ctx(int fd)
{
	struct file *file = fget(fd);
	struct iommufd_ctx *ictx = file->private_data;

	fput(file);
	return ictx;
}

/* ---- one helper for each call; ids and addresses that come back are the result or a pointer's target ---- */

static T_UNUSED long t_ioas_alloc(int fd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	long ret = t_ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);

	return ret ? ret : cmd.out_ioas_id;
}

static T_UNUSED long t_destroy(int fd, u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return t_ioctl(fd, IOMMU_DESTROY, &cmd);
}

#define T_FIXED IOMMU_IOAS_MAP_FIXED_IOVA
#define T_RD IOMMU_IOAS_MAP_READABLE
#define T_WR IOMMU_IOAS_MAP_WRITEABLE
#define T_RW (T_RD | T_WR)

static __thread u64 t_iova T_UNUSED;	/* where the last map or copy put it */
static __thread u64 t_unmapped T_UNUSED;	/* length after the last unmap */

static T_UNUSED long t_map(int fd, u32 ioas, u32 flags, const void *va, u64 len, u64 iova)
{
	struct iommu_ioas_map cmd = { .size = sizeof(cmd), .flags = flags, .ioas_id = ioas,
				      .user_va = (uintptr_t)va, .length = len, .iova = iova };
	long ret = t_ioctl(fd, IOMMU_IOAS_MAP, &cmd);

	t_iova = cmd.iova;
	return ret;
}

static T_UNUSED long t_map_file(int fd, u32 ioas, u32 flags, int file, u64 start, u64 len, u64 iova)
{
	struct iommu_ioas_map_file cmd = { .size = sizeof(cmd), .flags = flags, .ioas_id = ioas, .fd = file,
					   .start = start, .length = len, .iova = iova };
	long ret = t_ioctl(fd, IOMMU_IOAS_MAP_FILE, &cmd);

	t_iova = cmd.iova;
	return ret;
}

static T_UNUSED long t_copy(int fd, u32 flags, u32 dst, u64 dst_iova, u32 src, u64 src_iova, u64 len)
{
	struct iommu_ioas_copy cmd = { .size = sizeof(cmd), .flags = flags, .dst_ioas_id = dst, .src_ioas_id = src,
				       .length = len, .dst_iova = dst_iova, .src_iova = src_iova };
	long ret = t_ioctl(fd, IOMMU_IOAS_COPY, &cmd);

	t_iova = cmd.dst_iova;
	return ret;
}

static T_UNUSED long t_unmap(int fd, u32 ioas, u64 iova, u64 len)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = len };
	long ret = t_ioctl(fd, IOMMU_IOAS_UNMAP, &cmd);

	t_unmapped = cmd.length;
	return ret;
}

static T_UNUSED long t_allow(int fd, u32 ioas, const struct iommu_iova_range *ranges, u32 count)
{
	struct iommu_ioas_allow_iovas cmd = { .size = sizeof(cmd), .ioas_id = ioas, .num_iovas = count,
					      .allowed_iovas = (uintptr_t)ranges };

	return t_ioctl(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static __thread u64 t_value T_UNUSED; /* of the last option */

static T_UNUSED long t_option(int fd, u32 option, u16 op, u32 object, u64 value)
{
	struct iommu_option cmd = { .size = sizeof(cmd), .option_id = option, .op = op, .object_id = object,
				    .val64 = value };
	long ret = t_ioctl(fd, IOMMU_OPTION, &cmd);

	t_value = cmd.val64;
	return ret;
}

/* The address space behind a number; it lives until it is destroyed. */
static T_UNUSED struct io_pagetable *t_iopt(int fd, u32 id)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(t_ctx(fd), id);

	assert_false(IS_ERR(ioas));
	iommufd_put_object(t_ctx(fd), &ioas->obj);
	return &ioas->iopt;
}

/* How often a page is pinned. */
static bool t_count_pin(const struct pin *pin, void *arg)
{
	*(unsigned *)arg += pin->refs;
	return false;
}

static T_UNUSED unsigned t_pins(const void *va)
{
	unsigned count = 0;

	mutex_lock(&pins_lock);
	pins_visit_locked((uintptr_t)va, (uintptr_t)va, t_count_pin, &count);
	mutex_unlock(&pins_lock);
	return count;
}

static T_UNUSED char *t_memory(size_t len)
{
	/* Aligned to 2 MiB, and nothing of ours beside it. */
	char *area = mmap(NULL, len + (4ul << 20), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)ALIGN_UP((uintptr_t)area + (1ul << 20), 2ul << 20);

	assert_ptr_not_equal(area, MAP_FAILED);
	assert_int_equal(mprotect(at, len, PROT_READ | PROT_WRITE), 0);
	return at;
}

/* ---- a page table that is a flat array: simple, and with pages of 2 KiB ---- */

#define T_FLAT_START 0x1000000ull
#define T_FLAT_LAST 0x17fffffull
#define T_FLAT_PAGE 2048ull
#define T_FLAT_PAGES ((T_FLAT_LAST + 1 - T_FLAT_START) / T_FLAT_PAGE)

struct t_flat {
	struct iommu_domain domain;
	unsigned fail_in;	/* maps until one fails; 0: none does */
	u64 nr_mapped;
	u64 phys[T_FLAT_PAGES]; /* with the low bit set; 0: not mapped */
};

static struct t_flat *t_to_flat(struct iommu_domain *domain)
{
	return container_of(domain, struct t_flat, domain);
}

static u64 t_flat_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	struct t_flat *flat = t_to_flat(domain);
	u64 bytes = 0;

	for (u64 at = iova; at < iova + len; at += T_FLAT_PAGE) {
		u64 *entry = &flat->phys[(at - T_FLAT_START) / T_FLAT_PAGE];

		if (*entry) {
			bytes += T_FLAT_PAGE;
			flat->nr_mapped--;
		}
		*entry = 0;
	}
	return bytes;
}

static int t_flat_map(struct iommu_domain *domain, u64 iova, phys_addr_t phys, u64 len, int prot)
{
	struct t_flat *flat = t_to_flat(domain);

	(void)prot;
	assert_true(IS_ALIGNED(iova | phys | len, T_FLAT_PAGE) && len);
	assert_true(iova >= T_FLAT_START && iova + len - 1 <= T_FLAT_LAST);
	if (flat->fail_in && !--flat->fail_in)
		return fail(-ENOMEM, "the test wants it");
	for (u64 done = 0; done < len; done += T_FLAT_PAGE) {
		u64 *entry = &flat->phys[(iova + done - T_FLAT_START) / T_FLAT_PAGE];

		assert_int_equal(*entry, 0);
		*entry = (phys + done) | 1;
		flat->nr_mapped++;
	}
	return 0;
}

static phys_addr_t t_flat_phys(struct iommu_domain *domain, u64 iova)
{
	u64 entry;

	if (iova < T_FLAT_START || iova > T_FLAT_LAST)
		return 0;
	entry = t_to_flat(domain)->phys[(iova - T_FLAT_START) / T_FLAT_PAGE];
	return entry ? (entry & ~1ull) + iova % T_FLAT_PAGE : 0;
}

static void t_flat_free(struct iommu_domain *domain)
{
	assert_int_equal(t_to_flat(domain)->nr_mapped, 0);
	mutex_destroy(&domain->lock);
	free(t_to_flat(domain));
}

static const struct iommu_domain_ops t_flat_ops = {
	.map = t_flat_map, .unmap = t_flat_unmap, .iova_to_phys = t_flat_phys, .free = t_flat_free,
};

static void t_flat_sync(struct iommu_domain *domain, u64 iova, u64 last)
{
	(void)domain;
	(void)iova;
	(void)last;
}

static const struct iommu_device_ops t_flat_unit_ops = { .iotlb_sync = t_flat_sync };
static struct iommu_device t_flat_unit = { .name = "flat", .ops = &t_flat_unit_ops };

static T_UNUSED struct iommu_domain *t_flat(void)
{
	struct t_flat *flat = calloc(1, sizeof(*flat));

	assert_non_null(flat);
	flat->domain = (struct iommu_domain){ .type = IOMMU_DOMAIN_PAGING, .ops = &t_flat_ops,
					      .iommu = &t_flat_unit, .pgsize_bitmap = T_FLAT_PAGE | 1u << 20,
					      .aperture_start = T_FLAT_START, .aperture_last = T_FLAT_LAST };
	mutex_init(&flat->domain.lock, LOCK_IOMMU_DOMAIN);
	return &flat->domain;
}

/* Where the domain leads: an address of this process. */
static T_UNUSED char *t_leads_to(struct iommu_domain *domain, u64 iova)
{
	phys_addr_t phys = iommu_iova_to_phys(domain, iova);

	return phys ? phys_host_ptr(phys) : NULL;
}

/* ---- the machine ---- */

#define T_DEVICES 2
static struct device t_dev[T_DEVICES];

static int t_match(struct device *dev, struct device_driver *drv)
{
	(void)dev;
	(void)drv;
	return 0;
}

static struct bus_type t_bus = { .name = "fake", .match = t_match };
static void t_add_device(struct iommu_device *unit, unsigned i)
{
	static const char *const names[T_DEVICES] = { "fake0", "fake1" };
	char path[64];

	snprintf(path, sizeof(path), "sys/devices/fake/%s", names[i]);
	t_dev[i].name = names[i];
	t_dev[i].path = strdup(path);
	t_dev[i].bus = &t_bus;
	assert_int_equal(device_register(&t_dev[i], true), 0);
	assert_int_equal(iommu_probe_device(unit, &t_dev[i], (u16)(8 * (i + 1)), i), 0);
}

/* Once per program: the tests share the machine and leave it as they found it. */
static T_UNUSED int t_machine(void **state)
{
	struct iommu_device *unit;

	(void)state;
	t_new_dir();
	t_tree(true);
	unit = amd_iommu_init("ivhd0", &t_hw_ops, NULL, 256, IOMMU_BASIC);
	assert_false(IS_ERR(unit));
	assert_int_equal(iommufd_init(), 0);
	assert_int_equal(bus_register(&t_bus), 0);
	for (unsigned i = 0; i < T_DEVICES; i++)
		t_add_device(unit, i);
	kernfs_created();
	kernfs_unlock();
	return 0;
}

/* cmocka takes SIGSEGV before each test: take it back inside. */
#define T_TEST(test) { #test, t_guarded, NULL, t_close_all, (void *)(test) }

static T_UNUSED void t_guarded(void **state)
{
	void (*test)(void **) = (void (*)(void **))*state;

	guard_install();
	test(state);
}

#endif
