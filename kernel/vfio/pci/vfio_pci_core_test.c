/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_pci_core_test.c - info, regions, mappings, resets and features of a device, as Linux. */
#include "kernel/vfio/pci/vfio_pci_test.h"

#include "kernel/fs/dma-buf.h"

#include <pthread.h>

#define VMA_AT 0x700000000000ull
#define F_GET VFIO_DEVICE_FEATURE_GET
#define F_SET VFIO_DEVICE_FEATURE_SET
#define F_PROBE VFIO_DEVICE_FEATURE_PROBE

/* ---- info ------------------------------------------------------------------------------------ */

static void device_info(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME);
	struct vfio_device_info info = { .argsz = 15 };

	(void)state;
	guard_install();
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_INFO, T_BAD), EFAULT);
	info = (struct vfio_device_info){ .argsz = 16, .cap_offset = 0x55, .pad = 0x66 };
	t_works(t_ioctl(t.d, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.argsz, 16);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 0x55);
	info.argsz = 20;
	t_works(t_ioctl(t.d, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.cap_offset, 0);
	assert_int_equal(info.pad, 0x66);
	info.argsz = 24;
	t_works(t_ioctl(n.d, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	t_fails(t_ioctl(t.d, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL), ENOTTY);
	t_fails(t_ioctl(t.d, VFIO_DEVICE_QUERY_GFX_PLANE, &info), ENOTTY);
	t_dev_close(n);
	t_dev_close(t);
}

/* The port above says what it completes; the device may send it from then on. */
static void atomic_ops(void **state)
{
	struct t_dev n = t_dev_open(NVME);
	struct { struct vfio_device_info info; struct vfio_device_info_cap_pci_atomic_comp cap; } r = { 0 };
	struct pci_dev *port = t_core(n)->pdev->bridge;
	const u8 was = port->pcie_cap;

	(void)state;
	port->pcie_cap = 0x80;
	cfg_put(&t_hw[PORT1], 0x80 + PCI_EXP_FLAGS, 2, 2 | PCI_EXP_TYPE_ROOT_PORT << 4);
	r.info.argsz = sizeof(r);
	t_works(t_ioctl(n.d, VFIO_DEVICE_GET_INFO, &r));
	assert_int_equal(r.info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(r.info.cap_offset, 0);
	cfg_put(&t_hw[PORT1], 0x80 + PCI_EXP_DEVCAP2, 4, PCI_EXP_DEVCAP2_ATOMIC_COMP32 | PCI_EXP_DEVCAP2_ATOMIC_COMP128);
	r.info.argsz = sizeof(r.info);
	t_works(t_ioctl(n.d, VFIO_DEVICE_GET_INFO, &r));
	assert_int_equal(r.info.argsz, sizeof(r));
	assert_int_equal(r.info.cap_offset, 0);
	t_works(t_ioctl(n.d, VFIO_DEVICE_GET_INFO, &r));
	assert_int_equal(r.info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_CAPS);
	assert_int_equal(r.info.cap_offset, sizeof(r.info));
	assert_int_equal(r.cap.header.id, VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP);
	assert_int_equal(r.cap.header.version, 1);
	assert_int_equal(r.cap.header.next, 0);
	assert_int_equal(r.cap.flags, VFIO_PCI_ATOMIC_COMP32 | VFIO_PCI_ATOMIC_COMP128);
	assert_false(r.cap.flags & VFIO_PCI_ATOMIC_COMP64);
	assert_int_equal(pci_enable_atomic_ops_to_root(t_core(n)->pdev, PCI_EXP_DEVCAP2_ATOMIC_COMP64), -EINVAL);
	port->pcie_cap = was;
	t_dev_close(n);
}

struct region {
	struct vfio_region_info info;
	char caps[64];
};

static struct region get_region(int d, unsigned index, u32 argsz)
{
	struct region r = { .info = { .argsz = argsz, .index = index, .cap_offset = 77, .flags = 77 } };

	t_works(t_ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
	assert_int_equal(r.info.offset, REGION(index));
	return r;
}

static void region_info(void **state)
{
	static const struct {
		u64 size;
		u32 flags;
	} want[][8] = {
		[EDU] = { { 0x100000, 7 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0x100, 3 } },
		[SMALL] = { { 0x100, 7 }, { 0x100, 3 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0x100, 3 } },
		[NVME] = { { 0x4000, 15 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0x1000, 3 } },
		[IGB] = { { 0x20000, 7 },
			  { 0x20000, 7 },
			  { 0x20, 3 },
			  { 0x4000, 15 },
			  { 0 },
			  { 0 },
			  { 0 },
			  { 0x1000, 3 } },
		[E1000E] = { { 0x20000, 7 },
			     { 0x20000, 7 },
			     { 0x20, 3 },
			     { 0x4000, 15 },
			     { 0 },
			     { 0 },
			     { 0x40000, 1 },
			     { 0x1000, 3 } },
	};

	(void)state;
	for (unsigned i = EDU; i <= E1000E; i++) {
		struct t_dev t = t_dev_open(i);

		for (unsigned r = 0; r < 8; r++) {
			const struct region got = get_region(t.d, r, sizeof(got.info));
			const bool caps = want[i][r].flags & VFIO_REGION_INFO_FLAG_CAPS;

			if (got.info.size != want[i][r].size || got.info.flags != want[i][r].flags)
				t_wrong("%s region %u: size 0x%llx flags 0x%x", t.hw->name, r, got.info.size,
					got.info.flags);
			assert_int_equal(got.info.argsz, caps ? 40 : 32);
			assert_int_equal(got.info.cap_offset, caps ? 0 : 77);
		}
		t_dev_close(t);
	}
}

static void region_info_errors(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME);
	struct region r = { .info = { .argsz = sizeof(r.info) - 1 } };
	struct vfio_info_cap_header *cap = (void *)r.caps;

	(void)state;
	guard_install();
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_REGION_INFO, &r), EINVAL);
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_REGION_INFO, T_BAD), EFAULT);
	r.info = (struct vfio_region_info){ .argsz = sizeof(r.info), .index = 8 };
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_REGION_INFO, &r), EINVAL);
	r.info.index = 9;
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_REGION_INFO, &r), EINVAL);
	r.info.index = ~0u;
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_REGION_INFO, &r), EINVAL);
	r = get_region(n.d, 0, 39);
	assert_int_equal(r.info.argsz, 40);
	assert_int_equal(r.info.cap_offset, 0);
	r = get_region(n.d, 0, 100);
	assert_int_equal(r.info.argsz, 100);
	assert_int_equal(r.info.cap_offset, 32);
	assert_int_equal(cap->id, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	assert_int_equal(cap->version, 1);
	assert_int_equal(cap->next, 0);
	t_dev_close(n);
	t_dev_close(t);
}

static void irq_info(void **state)
{
	static const struct {
		unsigned dev;
		unsigned count[5];
		u32 flags[5];
	} want[] = {
		{ EDU, { 1, 1, 0, 1, 1 }, { 7, 9, 9, 9, 9 } },
		{ SMALL, { 0, 0, 0, 1, 1 }, { 7, 9, 9, 9, 9 } },
		{ NVME, { 1, 0, 65, 1, 1 }, { 7, 9, 1, 9, 9 } },
		{ IGB, { 1, 1, 10, 1, 1 }, { 7, 9, 1, 9, 9 } },
		{ E1000E, { 1, 1, 5, 1, 1 }, { 7, 9, 1, 9, 9 } },
	};
	struct vfio_irq_info q = { .argsz = sizeof(q) - 1, .index = 9 };

	(void)state;
	guard_install();
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		struct t_dev t = t_dev_open(want[i].dev);

		for (unsigned k = 0; k < 5; k++) {
			q = (struct vfio_irq_info){ .argsz = 100, .index = k };
			t_works(t_ioctl(t.d, VFIO_DEVICE_GET_IRQ_INFO, &q));
			assert_int_equal(q.argsz, 100);
			assert_int_equal(q.count, want[i].count[k]);
			assert_int_equal(q.flags, want[i].flags[k]);
		}
		q = (struct vfio_irq_info){ .argsz = sizeof(q), .index = 5 };
		t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_IRQ_INFO, &q), EINVAL);
		q = (struct vfio_irq_info){ .argsz = sizeof(q) - 1 };
		t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_IRQ_INFO, &q), EINVAL);
		t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_IRQ_INFO, T_BAD), EFAULT);
		t_dev_close(t);
	}
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names(void **state)
{
	static const struct {
		const char *suffix;
		int err;
	} cases[] = {
		{ "", 0 },
		{ " ", 0 },
		{ "  ", 0 },
		{ "x", ENODEV },
		{ " x", EINVAL },
		{ " =", EINVAL },
		{ " x=y", EINVAL },
		{ " x=y ", EINVAL },
		{ " vf_token", EINVAL },
		{ " vf_token=", EINVAL },
		{ " vf_token=1", EINVAL },
		{ " vf_token=5a1c0000-0000-4000-8000-000000000001", EINVAL },
		{ " vf_token=5a1c0000-0000-4000-8000-00000000000g", EINVAL },
		{ " vf_token=5a1c0000x0000-4000-8000-000000000001", EINVAL },
		{ " x=y vf_token=5a1c0000-0000-4000-8000-000000000001", EINVAL },
		{ " vf_token=5a1c0000-0000-4000-8000-000000000001 x=y", EINVAL },
		{ "  vf_token=5a1c0000-0000-4000-8000-000000000001", EINVAL },
		{ "\t", ENODEV },
		{ ",", ENODEV },
	};
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	char name[128];
	int fd;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(name, sizeof(name), "0000:00:10.0%s", cases[i].suffix);
		if (cases[i].err) {
			t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, name), cases[i].err);
			continue;
		}
		fd = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, name));
		t_close(fd);
	}
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "00:10.0"), ENODEV);
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, ""), ENODEV);
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"), ENODEV);
	t_teardown(x);
	/* one that has SR-IOV takes a token */
	x = t_setup("vfio/10", VFIO_TYPE1v2_IOMMU);
	fd = (int)t_works(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD,
				  "0000:02:00.0 vf_token=5A1C0000-0000-4000-8000-00000000000f"));
	assert_memory_equal(((struct vfio_pci_core_device *)t_hw[IGB].pdev.dev.driver_data)->vf_token,
			    "\x5a\x1c\0\0\0\0\x40\0\x80\0\0\0\0\0\0\x0f", 16);
	t_close(fd);
	t_fails(t_ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, "0000:02:00.0 vf_token=5a1c"), EINVAL);
	t_teardown(x);
}

/* ---- reading and writing --------------------------------------------------------------------- */

static void bar_reads(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	u8 buf[600];

	(void)state;
	guard_install();
	assert_int_equal(t_pread(t.d, buf, 4, 0), 4);
	assert_memory_equal(buf, "\xed\x00\x00\x01", 4);
	assert_int_equal(t_pread(t.d, buf, 1, 0), 1);
	assert_int_equal(t_pread(t.d, buf, 3, 1), 3);
	assert_memory_equal(buf, "\x00\x00\x01", 3);
	assert_int_equal(t_pread(t.d, buf, 0, 0), 0);
	assert_int_equal(t_pread(t.d, buf, 0, 0x100000), 0);
	assert_int_equal(t_pread(t.d, buf, 0, REGION(1)), 0);
	assert_int_equal(t_pread(t.d, buf, 0, REGION(9)), 0);
	assert_int_equal(t_pwrite(t.d, buf, 0, REGION(9)), 0);
	assert_int_equal(t_pread(t.d, buf, 8, 0xffffc), 4);
	t_fails(t_pread(t.d, buf, 4, 0x100000), EINVAL);
	t_fails(t_pread(t.d, T_BAD, 4, 0), EFAULT);
	t_fails(t_pwrite(t.d, T_BAD, 4, 0), EFAULT);
	t_fails(t_pread(t.d, buf, 4, REGION(1)), EINVAL);
	t_fails(t_pread(t.d, buf, 4, REGION(6)), EINVAL);
	t_fails(t_pwrite(t.d, buf, 4, REGION(6)), EINVAL);
	t_fails(t_pread(t.d, buf, 4, REGION(8)), EINVAL);
	t_fails(t_pread(t.d, buf, 4, REGION(9)), EINVAL);
	t_fails(t_pread(t.d, buf, 4, REGION(1000)), EINVAL);
	t_fails(t_pwrite(t.d, buf, 4, REGION(1000)), EINVAL);
	t_fails(t_pread(t.d, buf, 4, ~0ull), EINVAL);
	t_put(t.d, CFG + 4, 2, 0);
	t_fails(t_pread(t.d, buf, 4, 0), EIO);
	t_fails(t_pread(t.d, buf, 4, 0x100000), EINVAL); /* the range is looked at first */
	t_fails(t_pread(t.d, buf, 4, REGION(1)), EINVAL);
	assert_int_equal(t_pread(t.d, buf, 0, 0), 0);
	t_dev_close(t);
}

/* The device sees the largest aligned pieces. */
static void pieces(void **state)
{
	static const struct {
		u64 off;
		size_t len;
		unsigned accesses, last_len;
	} cases[] = {
		{ 0, 8, 1, 8 },	 { 0, 4, 1, 4 },     { 4, 8, 2, 4 },	   { 1, 3, 2, 2 }, { 1, 8, 4, 1 },
		{ 0, 64, 8, 8 }, { 0x80, 15, 4, 1 }, { 0xfd, 600, 78, 1 }, { 2, 2, 1, 2 }, { 7, 2, 2, 1 },
	};
	struct t_dev t = t_dev_open(EDU);
	u8 out[600], in[600];

	(void)state;
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (u8)(i * 7 + 1);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		t.hw->reads = t.hw->writes = 0;
		assert_int_equal(t_pwrite(t.d, out, cases[i].len, cases[i].off), cases[i].len);
		assert_int_equal(t.hw->writes, cases[i].accesses);
		assert_int_equal(t.hw->last_len, cases[i].last_len);
		assert_int_equal(t_pread(t.d, in, cases[i].len, cases[i].off), cases[i].len);
		assert_int_equal(t.hw->reads, cases[i].accesses);
		assert_memory_equal(in, out, cases[i].len);
	}
	memcpy(t.hw->bar[0], "\xed\x00\x00\x01", 4);
	t_dev_close(t);
}

static void msix_table_is_left_out(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	u8 buf[16], ones[16];
	unsigned writes;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(t_pread(t.d, buf, 16, 0x1ff8), 16);
	assert_memory_equal(buf + 8, ones, 8);
	assert_int_equal(buf[0], 0);
	assert_int_equal(t_pread(t.d, buf, 16, 0x2000 + 65 * 16 - 8), 16);
	assert_memory_equal(buf, ones, 8);
	assert_int_equal(buf[8], 0);
	writes = t.hw->writes;
	assert_int_equal(t_pwrite(t.d, buf, 8, 0x2000), 8);
	assert_int_equal(t.hw->writes, writes);
	assert_int_equal(t_pwrite(t.d, buf, 16, 0x1ff8), 16);
	assert_int_equal(t.hw->writes, writes + 1);
	assert_int_equal(t_pread(t.d, buf, 16, 0x3ffc), 4);
	t_put(t.d, REGION(7) + 4, 2, 0); /* no access of the device is needed for it */
	assert_int_equal(t_pread(t.d, buf, 16, 0x2000), 16);
	assert_memory_equal(buf, ones, 16);
	t_fails(t_pread(t.d, buf, 16, 0x1ff8), EIO);
	t_put(t.d, REGION(7) + 4, 2, 2);
	t_dev_close(t);
}

static void rom_and_io(void **state)
{
	struct t_dev t = t_dev_open(E1000E);
	u8 buf[8];

	(void)state;
	assert_int_equal(t_pread(t.d, buf, 4, REGION(6)), 4);
	assert_memory_equal(buf, "\x55\xaa\x93\xe9", 4);
	t_fails(t_pwrite(t.d, buf, 4, REGION(6)), EINVAL);
	t_fails(t_pread(t.d, buf, 4, REGION(6) + 0x40000), EINVAL);
	t_put(t.d, CFG + 4, 2, 0);
	t_fails(t_pread(t.d, buf, 4, REGION(6)), ENOMEM);
	t_fails(t_pread(t.d, buf, 4, REGION(0)), EIO);
	assert_int_equal(t_pread(t.d, buf, 4, REGION(2)), 4); /* I/O space is not asked for */
	t_dev_close(t);
}

/* ---- mappings -------------------------------------------------------------------------------- */

static unsigned t_revoked;

static void count_revoked(struct vm_area *vma)
{
	(void)vma;
	t_revoked++;
}

static struct vm_area *make_vma(int d, u64 len, int prot, u64 off)
{
	struct file *file = fget(d);
	struct vm_area *vma = vma_alloc(file, VMA_AT, len, off, prot);

	assert_non_null(vma);
	fput(file);
	return vma;
}

/* After each test, also one that failed halfway. */
static int unmap_all(void **state)
{
	vma_remove(mm_self(), VMA_AT, 1ull << 30);
	vma_host_revoke = NULL;
	vma_no_trap = false;
	memcpy(t_hw[EDU].bar[0], "\xed\x00\x00\x01", 4);
	return t_close_all(state);
}

static long try_mmap(int d, u64 len, int prot, int flags, u64 off)
{
	struct vm_area *vma = make_vma(d, len, prot, off);
	long ret;

	explain_begin();
	ret = vma->file->f_op->mmap(vma->file, vma, flags);
	vma_put(vma);
	return ret;
}

static struct vm_area *map(int d, u64 len, u64 off)
{
	struct vm_area *vma = make_vma(d, len, PROT_READ | PROT_WRITE, off);

	t_works(vma->file->f_op->mmap(vma->file, vma, MAP_SHARED));
	vma_insert(mm_self(), vma);
	return vma;
}

static void unmap(struct vm_area *vma)
{
	assert_int_equal(vma_remove(mm_self(), vma->start, vma->last - vma->start + 1), 0);
}

static void mmap_rows(void **state)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct t_dev t = t_dev_open(EDU), s = t_dev_open(SMALL), m = t_dev_open(E1000E);

	(void)state;
	t_works(try_mmap(t.d, 0x100000, rw, MAP_SHARED, 0));
	t_works(try_mmap(t.d, 0x100000, PROT_READ, MAP_SHARED, 0));
	t_works(try_mmap(t.d, 0x100000, PROT_NONE, MAP_SHARED, 0));
	t_works(try_mmap(t.d, PAGE_SIZE, rw, MAP_SHARED_VALIDATE, 16 * PAGE_SIZE));
	t_fails(try_mmap(t.d, 0x100000, rw, MAP_PRIVATE, 0), EINVAL);
	t_fails(try_mmap(t.d, 0x100000, PROT_READ | PROT_EXEC, MAP_SHARED, 0), EPERM);
	t_fails(try_mmap(t.d, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, REGION(1)), EPERM);
	t_fails(try_mmap(t.d, 0x101000, rw, MAP_SHARED, 0), EINVAL);
	t_fails(try_mmap(t.d, PAGE_SIZE, rw, MAP_SHARED, 0x100000), EINVAL);
	t_fails(try_mmap(t.d, PAGE_SIZE, rw, MAP_SHARED, 1), EINVAL);
	for (unsigned index = 1; index < 10; index++)
		t_fails(try_mmap(t.d, PAGE_SIZE, rw, MAP_SHARED, REGION(index)), EINVAL);
	t_fails(try_mmap(t.d, PAGE_SIZE, rw, MAP_SHARED, ~0ull & PAGE_MASK), EINVAL);
	t_works(try_mmap(s.d, PAGE_SIZE, rw, MAP_SHARED, 0)); /* smaller than a page, and alone in it */
	t_fails(try_mmap(s.d, 2 * PAGE_SIZE, rw, MAP_SHARED, 0), EINVAL);
	t_fails(try_mmap(s.d, PAGE_SIZE, rw, MAP_SHARED, REGION(1)), EINVAL);
	t_fails(try_mmap(m.d, PAGE_SIZE, PROT_READ, MAP_SHARED, REGION(6)), EINVAL);
	t_put(t.d, CFG + 4, 2, 0);
	t_works(try_mmap(t.d, 0x100000, rw, MAP_SHARED, 0)); /* touching it is what fails */
	t_dev_close(m);
	t_dev_close(s);
	t_dev_close(t);
}

/* Not alone in its page: only pread and pwrite. */
static void small_bar_with_neighbour(void **state)
{
	struct pci_dev *small = &t_hw[SMALL].pdev, *edu = &t_hw[EDU].pdev;
	const struct resource was = edu->resource[5], was_small = small->resource[0];
	struct t_dev t;

	(void)state;
	edu->resource[5] = (struct resource){
		.start = small->resource[0].start + 0x800,
		.size_bytes = 16,
		.flags = IORESOURCE_MEM,
	};
	t = t_dev_open(SMALL);
	assert_int_equal(get_region(t.d, 0, 32).info.flags, 3);
	t_fails(try_mmap(t.d, PAGE_SIZE, PROT_READ, MAP_SHARED, 0), EINVAL);
	t_dev_close(t);
	edu->resource[5] = was;
	small->resource[0].start += 256; /* nor when it does not begin the page */
	t = t_dev_open(SMALL);
	assert_int_equal(get_region(t.d, 0, 32).info.flags, 3);
	t_dev_close(t);
	small->resource[0] = was_small;
}

static void touching_a_mapping(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	struct vm_area *vma = map(t.d, 0x100000, 0);
	phys_addr_t phys;
	u32 val = 0;
	u8 wide[64];

	(void)state;
	vma_host_revoke = count_revoked;
	assert_int_equal(vma->ops->access(vma, 0, &val, 4, false), 0);
	assert_int_equal(val, 0x10000ed);
	val = 0x12345678;
	assert_int_equal(vma->ops->access(vma, 0x40, &val, 4, true), 0);
	assert_int_equal(t.hw->last_val, 0x12345678);
	t.hw->reads = 0;
	assert_int_equal(vma->ops->access(vma, 0x40, wide, 64, false), 0);
	assert_int_equal(t.hw->reads, 8);
	assert_int_equal(vma->ops->phys(vma, 0x1000, &phys), 0);
	assert_int_equal(phys,
			 ((u64)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT) + t.hw->pdev.resource[0].start + 0x1000);

	t_revoked = 0;
	t_put(t.d, CFG + 4, 2, 0);
	assert_int_equal(t_revoked, 1);
	t_forget();
	assert_int_equal(vma->ops->access(vma, 0, &val, 4, false), -EFAULT);
	assert_true(t_said("SIGBUS"));
	assert_int_equal(vma->ops->access(vma, 0, &val, 4, true), -EFAULT);
	assert_int_equal(vma->ops->phys(vma, 0, &phys), -EFAULT);
	t_put(t.d, CFG + 4, 2, 2);
	assert_int_equal(t_revoked, 2); /* the front end may look again */
	assert_int_equal(vma->ops->access(vma, 0, &val, 4, false), 0);
	assert_int_equal(vma->ops->phys(vma, 0, &phys), 0);
	vma_host_revoke = NULL;
	unmap(vma);
	t_dev_close(t);
}

static void direct_pages(void **state)
{
	struct t_dev n = t_dev_open(NVME), g = t_dev_open(IGB);
	struct vm_area *vn = map(n.d, 0x4000, 0), *vg = make_vma(g.d, 0x20000, PROT_READ, 0);
	u64 off, len;
	int fd, prot;

	(void)state;
	t_works(vg->file->f_op->mmap(vg->file, vg, MAP_SHARED));
	vn->ops->direct(vn, 0, &fd, &off, &prot, &len);
	assert_int_equal(prot, 0);
	assert_int_equal(len, PAGE_SIZE);
	vn->ops->direct(vn, 0x1000, &fd, &off, &prot, &len);
	assert_int_equal(prot, PROT_READ);
	assert_int_equal(fd, 77);
	assert_int_equal(off, 0x1001000);
	assert_int_equal(len, 0x3000);
	vg->ops->direct(vg, 0x2000, &fd, &off, &prot, &len);
	assert_int_equal(prot, PROT_READ | PROT_WRITE);
	assert_int_equal(len, 0x1e000);
	t_put(n.d, CFG + 4, 2, 0);
	vn->ops->direct(vn, 0x1000, &fd, &off, &prot, &len);
	assert_int_equal(prot, 0);
	assert_int_equal(len, 0x3000);
	t_put(n.d, CFG + 4, 2, 2);
	vn->ops->direct(vn, 0x1000, &fd, &off, &prot, &len);
	assert_int_equal(prot, PROT_READ);
	vma_put(vg);
	unmap(vn);
	t_dev_close(g);
	t_dev_close(n);
}

static void behind_a_small_bar(void **state)
{
	struct t_dev t = t_dev_open(SMALL);
	struct vm_area *vma = map(t.d, PAGE_SIZE, 0);
	u64 val = 0;

	(void)state;
	assert_int_equal(vma->ops->access(vma, 0x100, &val, 8, false), 0);
	assert_int_equal(val, ~0ull);
	assert_int_equal(vma->ops->access(vma, 0xfc, &val, 8, false), 0);
	assert_int_equal(val, 0xffffffff00000000ull);
	t.hw->writes = 0;
	assert_int_equal(vma->ops->access(vma, 0xff8, &val, 8, true), 0);
	assert_int_equal(t.hw->writes, 0);
	unmap(vma);
	t_dev_close(t);
}

/* A mapping keeps the device open. */
static void mapping_holds_the_device(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	struct vm_area *vma = map(t.d, 0x100000, 0);
	u32 val = 0;

	(void)state;
	t_dev_close(t);
	assert_int_equal(vma->ops->access(vma, 0, &val, 4, false), 0);
	assert_int_equal(val, 0x10000ed);
	t_fails(t_open("vfio/2"), EBUSY);
	unmap(vma);
	t_close((int)t_works(t_open("vfio/2")));
}

/* For a program that cannot be trapped only the direct pages are offered. */
static void no_trap(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME), g = t_dev_open(IGB);
	struct region r;
	struct vfio_region_info_cap_sparse_mmap *cap = (void *)r.caps;

	(void)state;
	vma_no_trap = true;
	assert_int_equal(get_region(t.d, 0, 32).info.flags, 3);
	assert_int_equal(get_region(n.d, 0, 32).info.flags, 3);
	r = get_region(g.d, 0, sizeof(r));
	assert_int_equal(r.info.flags, 15);
	assert_int_equal(cap->header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(cap->nr_areas, 1);
	assert_int_equal(cap->areas[0].offset, PAGE_SIZE);
	assert_int_equal(cap->areas[0].size, 0x1f000);
	t_fails(try_mmap(t.d, PAGE_SIZE, PROT_READ, MAP_SHARED, 0), EINVAL);
	t_fails(try_mmap(g.d, 0x20000, PROT_READ, MAP_SHARED, 0), EINVAL);
	t_works(try_mmap(g.d, 0x1f000, PROT_READ, MAP_SHARED, PAGE_SIZE));
	vma_no_trap = false;
	t_dev_close(g);
	t_dev_close(n);
	t_dev_close(t);
}

/* Loads race with switching decoding: each either works or faults, and none is inside once it is off. */
struct race {
	struct vm_area *vma;
	atomic_bool stop;
	atomic_uint ok, faults;
};

static void *touch(void *arg)
{
	struct race *race = arg;
	u32 val;

	while (!atomic_load(&race->stop)) {
		if (race->vma->ops->access(race->vma, 0, &val, 4, false))
			atomic_fetch_add(&race->faults, 1);
		else
			atomic_fetch_add(&race->ok, 1);
	}
	return NULL;
}

static void access_races_with_decoding(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	struct race race = { .vma = map(t.d, 0x4000, 0) };
	pthread_t thread[2];

	(void)state;
	t.hw->undecoded = 0;
	explain_enabled = false; /* a line for each SIGBUS would be the test */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, touch, &race), 0);
	for (unsigned i = 0; i < 3000 || !atomic_load(&race.ok) || !atomic_load(&race.faults); i++) {
		t_put(t.d, CFG + 4, 2, i & 1 ? 2 : 0);
		if (!(i & 1))
			assert_int_equal(t_core(t)->gate & GATE_DECODE, 0);
		if (i % 100 == 0)
			t_works(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL));
	}
	atomic_store(&race.stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	explain_enabled = true;
	assert_int_equal(t_core(t)->gate_users, 0);
	assert_int_equal(t.hw->undecoded, 0);
	unmap(race.vma);
	t_dev_close(t);
}

/* ---- open and close -------------------------------------------------------------------------- */

static void open_and_close(void **state)
{
	struct fake_hw *hw = &t_hw[NVME];
	const unsigned flrs = hw->flrs;
	struct t_dev t = t_dev_open(NVME);
	const u32 bar = cfg_get(hw, 0x10, 4);
	int second;

	(void)state;
	assert_int_equal(hw->flrs, flrs + 1);
	assert_int_equal(t_get(t.d, CFG + 4, 2), 0x103);
	t_put(t.d, CFG + 4, 2, 0x407);
	t_put(t.d, CFG + 0xc, 1, 0x10);
	second = (int)t_works(t_ioctl(t.x.g, VFIO_GROUP_GET_DEVICE_FD, hw->name));
	assert_int_equal(hw->flrs, flrs + 1);
	t_close(t.d);
	assert_int_equal(t_get(second, CFG + 4, 2), 0x407); /* still open: nothing is put back */
	t_close(second);
	assert_int_equal(hw->flrs, flrs + 2);
	assert_int_equal(cfg_get(hw, 4, 2), 0x103);
	assert_int_equal(cfg_get(hw, 0xc, 1), 0);
	assert_int_equal(cfg_get(hw, 0x10, 4), bar);
	t_teardown(t.x);
}

/* ---- reset ----------------------------------------------------------------------------------- */

static void reset(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME), g = t_dev_open(E1000E);
	const unsigned flrs = n.hw->flrs;

	(void)state;
	t_fails(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL), EINVAL);
	t_put(n.d, CFG + 4, 2, 0);
	t_works(t_ioctl(n.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(n.hw->flrs, flrs + 1);
	assert_int_equal(t_get(n.d, CFG + 4, 2), 0);
	t_put(n.d, CFG + 4, 2, 7);
	t_works(t_ioctl(n.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(t_get(n.d, CFG + 4, 2), 7);
	assert_int_equal(cfg_get(n.hw, 4, 2), 7);
	t_put(n.d, CFG + 0x64, 2, 3); /* asleep: it wakes */
	t_works(t_ioctl(n.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(t_get(n.d, CFG + 0x64, 2), 8);
	t_works(t_ioctl(g.d, VFIO_DEVICE_RESET, NULL)); /* by power management */
	t_dev_close(g);
	t_dev_close(n);
	t_dev_close(t);
}

struct hot_info {
	struct vfio_pci_hot_reset_info h;
	struct vfio_pci_dependent_device dev[8];
};

struct hot {
	struct vfio_pci_hot_reset h;
	int fd[8];
};

static void hot_reset_info(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME), p = t_dev_open(PAIR2);
	struct hot_info hi = { .h = { .argsz = sizeof(hi) } };

	(void)state;
	guard_install();
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi), ENODEV);
	t_fails(t_ioctl(t.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, T_BAD), EFAULT);
	hi.h.argsz = 12;
	t_fails(t_ioctl(n.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi), ENOSPC);
	assert_int_equal(hi.h.argsz, 12);
	assert_int_equal(hi.h.count, 1);
	hi.h.argsz = 8;
	t_fails(t_ioctl(n.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi), EINVAL);
	hi.h.argsz = sizeof(hi);
	t_works(t_ioctl(n.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi));
	assert_int_equal(hi.h.argsz, sizeof(hi));
	assert_int_equal(hi.h.count, 1);
	assert_int_equal(hi.h.flags, 0);
	assert_int_equal(hi.dev[0].group_id, 9);
	assert_int_equal(hi.dev[0].bus, 1);
	assert_int_equal(hi.dev[0].devfn, 0);
	hi.h.argsz = 12 + 8;
	t_fails(t_ioctl(p.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi), ENOSPC);
	assert_int_equal(hi.h.count, 2);
	hi.h.argsz = sizeof(hi);
	t_works(t_ioctl(p.d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi));
	assert_int_equal(hi.h.count, 2);
	assert_int_equal(hi.dev[0].devfn, 1 << 3);
	assert_int_equal(hi.dev[1].devfn, 2 << 3);
	assert_int_equal(hi.dev[1].group_id, 4);
	t_dev_close(p);
	t_dev_close(n);
	t_dev_close(t);
}

static long hot(int d, u32 argsz, u32 flags, u32 count, int a, int b, int c)
{
	struct hot hr = { .h = { .argsz = argsz, .flags = flags, .count = count }, .fd = { a, b, c } };

	return t_ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr);
}

static void hot_reset(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME);
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC), mine = n.x.g, other = t.x.g;
	const u32 size = sizeof(struct hot);
	unsigned resets = n.hw->bus_resets;
	int e = t_eventfd();

	(void)state;
	guard_install();
	t_fails(hot(t.d, size, 0, 1, other, 0, 0), ENODEV);
	t_fails(hot(t.d, size, 0, 0, 0, 0, 0), EINVAL);
	t_fails(hot(t.d, size, 0, 1, 999, 0, 0), ENODEV);
	t_fails(t_ioctl(n.d, VFIO_DEVICE_PCI_HOT_RESET, T_BAD), EFAULT);
	t_fails(hot(n.d, size, 0, 0, 0, 0, 0), EINVAL);
	t_fails(hot(n.d, size, 1, 1, mine, 0, 0), EINVAL);
	t_fails(hot(n.d, 8, 0, 1, mine, 0, 0), EINVAL);
	assert_int_equal(n.hw->bus_resets, resets);
	t_put(n.d, CFG + 4, 2, 7);
	t_works(t_set_irqs(n.d, 36, VFIO_PCI_MSIX_IRQ_INDEX, 5, 1, &e, 4));
	t_works(hot(n.d, size, 0, 1, mine, 0, 0));
	assert_int_equal(n.hw->bus_resets, ++resets);
	assert_int_equal(t_get(n.d, CFG + 4, 2), 7);
	assert_int_equal(cfg_get(n.hw, 4, 2) & 7, 7);
	hw_message(n.hw, 5); /* messages come through it */
	assert_int_equal(t_count(e), 1);
	t_works(hot(n.d, 12, 0, 1, mine, 0, 0)); /* argsz need not reach over the descriptors */
	t_fails(hot(n.d, size, 0, 2, mine, other, 0), EINVAL);
	t_fails(hot(n.d, size, 0, 2, mine, mine, 0), EINVAL);
	t_fails(hot(n.d, size, 0, 1, other, 0, 0), EINVAL);
	t_fails(hot(n.d, size, 0, 1, null, 0, 0), EINVAL);
	t_fails(hot(n.d, size, 0, 1, n.x.c, 0, 0), EINVAL);
	t_fails(hot(n.d, size, 0, 1, n.d, 0, 0), EINVAL);
	t_fails(hot(n.d, size, 0, 1, 999, 0, 0), EBADF);
	t_fails(hot(n.d, size, 0, 1, -1, 0, 0), EBADF);
	t_fails(hot(n.d, size, 0, 1000, mine, 0, 0), EINVAL);
	assert_int_equal(n.hw->bus_resets, resets + 1);
	close(e);
	close(null);
	t_dev_close(n);
	t_dev_close(t);
}

static void hot_reset_of_a_pair(void **state)
{
	struct t_dev p = t_dev_open(PAIR1);
	const u32 size = sizeof(struct hot);
	const unsigned resets = t_hw[PAIR2].bus_resets;
	int other = (int)t_works(t_ioctl(p.x.g, VFIO_GROUP_GET_DEVICE_FD, t_hw[PAIR2].name));

	(void)state;
	t_put(other, CFG + 4, 2, 6);
	t_works(hot(p.d, size, 0, 1, p.x.g, 0, 0));
	assert_int_equal(t_hw[PAIR2].bus_resets, resets + 1);
	assert_int_equal(cfg_get(&t_hw[PAIR2], 4, 2), 6);
	assert_int_equal(t_get(other, 0, 1), 0xed);
	t_works(hot(p.d, size, 0, 2, p.x.g, p.x.g, 0));
	t_fails(hot(p.d, size, 0, 3, p.x.g, p.x.g, p.x.g), EINVAL);
	t_close(other);
	t_dev_close(p);
}

/* A neighbour without vfio-pci forbids it. */
static void hot_reset_with_a_stranger(void **state)
{
	struct t_dev p;

	(void)state;
	kernfs_lock();
	device_driver_detach(&t_hw[PAIR2].pdev.dev);
	kernfs_unlock();
	p = t_dev_open(PAIR1);
	t_fails(hot(p.d, sizeof(struct hot), 0, 1, p.x.g, 0, 0), EINVAL);
	t_dev_close(p);
	kernfs_lock();
	assert_int_equal(device_attach(&t_hw[PAIR2].pdev.dev), 1);
	kernfs_unlock();
}

/* Devices without a reset of their own are reset with their bus once the last of it is closed. */
static void bus_reset_at_last_close(void **state)
{
	struct t_dev p = t_dev_open(PAIR1);
	const unsigned resets = t_hw[PAIR1].bus_resets;
	int other = (int)t_works(t_ioctl(p.x.g, VFIO_GROUP_GET_DEVICE_FD, t_hw[PAIR2].name));

	(void)state;
	t_close(p.d);
	assert_int_equal(t_hw[PAIR1].bus_resets, resets);
	t_close(other);
	assert_int_equal(t_hw[PAIR1].bus_resets, resets + 1);
	t_teardown(p.x);
}

/* ---- features -------------------------------------------------------------------------------- */

static long feature(int d, u32 flags, const void *data, size_t len)
{
	char buf[128] = { 0 };
	struct vfio_device_feature *f = (void *)buf;

	f->argsz = (u32)(sizeof(*f) + len);
	f->flags = flags;
	if (len)
		memcpy(f->data, data, len);
	return t_ioctl(d, VFIO_DEVICE_FEATURE, f);
}

static void feature_probes(void **state)
{
	static const struct {
		int probe, get, set;
	} edu[14] = {
		{ ENOTTY, ENOTTY, ENOTTY }, { ENOTTY, ENOTTY, ENOTTY }, { ENOTTY, ENOTTY, ENOTTY },
		{ 0, EINVAL, 0 },	    { 0, EINVAL, 0 },		{ 0, EINVAL, 0 },
		{ ENOTTY, ENOTTY, ENOTTY }, { ENOTTY, ENOTTY, ENOTTY }, { ENOTTY, ENOTTY, ENOTTY },
		{ ENOTTY, ENOTTY, ENOTTY }, { ENOTTY, ENOTTY, ENOTTY }, { 0, 0, EINVAL },
		{ EINVAL, EINVAL, EINVAL }, { ENOTTY, ENOTTY, ENOTTY },
	};
	struct t_dev t = t_dev_open(EDU), g = t_dev_open(IGB);

	(void)state;
	for (unsigned i = 0; i < 14; i++) {
		assert_int_equal(feature(t.d, i | F_PROBE, NULL, 0), -edu[i].probe);
		assert_int_equal(feature(t.d, i | F_PROBE | F_GET, NULL, 0), -edu[i].get);
		assert_int_equal(feature(t.d, i | F_PROBE | F_SET, NULL, 0), -edu[i].set);
		assert_int_equal(feature(t.d, i | F_PROBE | F_SET | F_GET, NULL, 0),
				 -(edu[i].get ? edu[i].get : edu[i].set));
	}
	t_fails(feature(t.d, 3, NULL, 0), EINVAL);
	t_fails(feature(t.d, 3 | F_GET, NULL, 0), EINVAL);
	t_fails(feature(t.d, 3 | F_GET | F_SET, NULL, 0), EINVAL);
	t_fails(feature(t.d, 999 | F_PROBE, NULL, 0), ENOTTY);
	t_works(feature(g.d, 0 | F_PROBE, NULL, 0)); /* it has SR-IOV */
	t_fails(feature(g.d, 0 | F_PROBE | F_GET, NULL, 0), EINVAL);
	t_works(feature(g.d, 0 | F_SET, "0123456789abcdef", 16));
	t_fails(feature(g.d, 0 | F_SET, "0123456789abcdef", 15), EINVAL);
	t_dev_close(g);
	t_dev_close(t);
}

static bool touch_works(struct vm_area *vma)
{
	u32 val;

	return !vma->ops->access(vma, 0, &val, 4, false);
}

static void low_power(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	struct vm_area *vma = map(t.d, 0x4000, 0);
	u32 val;

	(void)state;
	t_works(feature(t.d, 5 | F_SET, NULL, 0)); /* leaving what was not entered */
	assert_true(touch_works(vma));
	t_works(feature(t.d, 3 | F_SET, NULL, 0));
	assert_false(touch_works(vma));
	t_fails(feature(t.d, 3 | F_SET, NULL, 0), EINVAL);
	assert_int_equal(t_pread(t.d, &val, 4, 0), 4); /* calls work, mappings do not */
	assert_false(touch_works(vma));
	t_works(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL));
	assert_false(touch_works(vma));
	t_put(t.d, CFG + 4, 2, 0);
	t_put(t.d, CFG + 4, 2, 2);
	assert_false(touch_works(vma));
	t_works(feature(t.d, 5 | F_SET, NULL, 0));
	assert_true(touch_works(vma));
	t_works(feature(t.d, 5 | F_SET, NULL, 0));
	t_works(feature(t.d, 3 | F_SET, NULL, 0)); /* closed in low power */
	unmap(vma);
	t_dev_close(t);
	t = t_dev_open(NVME);
	t_works(feature(t.d, 3 | F_SET, NULL, 0));
	t_dev_close(t);
}

static void low_power_with_wakeup(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	struct vm_area *vma = map(t.d, 0x100000, 0);
	struct vfio_device_low_power_entry_with_wakeup w = { .wakeup_eventfd = 999, .reserved = 1 };
	const int e = t_eventfd(), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	u32 val;

	(void)state;
	guard_install();
	t_fails(feature(t.d, 4 | F_SET, &w, 4), EINVAL);
	t_fails(feature(t.d, 4 | F_SET, NULL, 0), EINVAL);
	t_fails(feature(t.d, 4 | F_GET, &w, sizeof(w)), EINVAL);
	t_fails(feature(t.d, 4 | F_SET, &w, sizeof(w)), EBADF);
	w.wakeup_eventfd = -1;
	t_fails(feature(t.d, 4 | F_SET, &w, sizeof(w)), EINVAL);
	w.wakeup_eventfd = null;
	t_fails(feature(t.d, 4 | F_SET, &w, sizeof(w)), EINVAL);
	w.wakeup_eventfd = e;
	t_works(feature(t.d, 4 | F_SET, &w, sizeof(w)));
	assert_false(touch_works(vma)); /* touching wakes nothing */
	assert_int_equal(t_count(e), 0);
	assert_int_equal(t_pread(t.d, &val, 4, 0), 4);
	assert_int_equal(t_count(e), 1);
	assert_true(touch_works(vma));
	assert_int_equal(t_pread(t.d, &val, 4, 0), 4);
	assert_int_equal(t_count(e), 0);
	t_works(feature(t.d, 4 | F_SET, &w, sizeof(w)));
	t_works(feature(t.d, 4 | F_SET, &w, sizeof(w))); /* this call woke it first */
	assert_int_equal(t_count(e), 1);
	t_works(feature(t.d, 5 | F_SET, NULL, 0));
	assert_int_equal(t_count(e), 1);
	assert_true(touch_works(vma));
	t_works(feature(t.d, 3 | F_SET, NULL, 0)); /* without an eventfd a call does not end it */
	t_fails(feature(t.d, 4 | F_SET, &w, sizeof(w)), EINVAL);
	t_works(feature(t.d, 5 | F_SET, NULL, 0));
	t_works(feature(t.d, 4 | F_SET, &w, sizeof(w)));
	close(e);
	close(null);
	unmap(vma);
	t_dev_close(t);
}

/* An importer that counts how often it lost its mapping. */
struct t_importer {
	struct dma_buf_attachment attachment;
	struct dma_buf *buf;
	unsigned revoked;
};

static void t_revoke(struct dma_buf_attachment *attachment)
{
	container_of(attachment, struct t_importer, attachment)->revoked++;
}

static struct t_importer *t_import(struct t_importer *importer, int fd)
{
	*importer = (struct t_importer){ .attachment.revoke = t_revoke, .buf = dma_buf_get(fd) };
	assert_false(IS_ERR(importer->buf));
	dma_buf_lock(importer->buf);
	dma_buf_attach(importer->buf, &importer->attachment);
	dma_buf_unlock(importer->buf);
	return importer;
}

static int t_phys(struct t_importer *importer, phys_addr_t *ret)
{
	int err;

	dma_buf_lock(importer->buf);
	err = importer->buf->ops->phys(importer->buf, ret);
	dma_buf_unlock(importer->buf);
	return err;
}

static void t_let_go(struct t_importer *importer)
{
	dma_buf_lock(importer->buf);
	dma_buf_detach(importer->buf, &importer->attachment);
	dma_buf_unlock(importer->buf);
	dma_buf_put(importer->buf);
}

static int t_export(int d, u32 region, u32 open_flags, u64 offset, u64 length)
{
	struct {
		struct vfio_device_feature_dma_buf h;
		struct vfio_region_dma_range r;
	} q = { .h = { .region_index = region, .open_flags = open_flags, .nr_ranges = 1 }, .r = { offset, length } };

	return (int)t_works(feature(d, VFIO_DEVICE_FEATURE_DMA_BUF | F_GET, &q, sizeof(q)));
}

static void t_forget_fd(int fd)
{
	fd_uninstall(fd);
	close(fd);
}

static void dma_buf_of_a_bar(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	const u64 bar = t.hw->pdev.resource[0].start, pm = CFG + t.hw->pm + PCI_PM_CTRL;
	const int fd = t_export(t.d, 0, O_RDWR | O_CLOEXEC, PAGE_SIZE, PAGE_SIZE), open_fd = t_export(t.d, 0, 0, 0, PAGE_SIZE);
	struct t_importer one;
	struct file *file;
	phys_addr_t phys = 0;
	u16 pmcsr;

	(void)state;
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(open_fd, F_GETFD), 0);
	file = fget(fd);
	assert_string_equal(file->path, "/dmabuf:");
	assert_int_equal(file->f_flags, O_RDWR);
	fput(file);
	t_import(&one, fd);
	assert_int_equal(one.buf->size, PAGE_SIZE);
	t_works(t_phys(&one, &phys));
	assert_int_equal(phys, ((u64)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT) + bar + PAGE_SIZE);
	/* It goes and comes with memory decoding, */
	t_put(t.d, CFG + PCI_COMMAND, 2, 0);
	assert_int_equal(one.revoked, 1);
	t_fails(t_phys(&one, &phys), ENODEV);
	t_put(t.d, CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	t_works(t_phys(&one, &phys));
	/* power, */
	pmcsr = (u16)t_get(t.d, pm, 2);
	t_put(t.d, pm, 2, pmcsr | 3);
	assert_int_equal(one.revoked, 2);
	t_fails(t_phys(&one, &phys), ENODEV);
	t_put(t.d, pm, 2, pmcsr & ~3);
	t_works(t_phys(&one, &phys));
	t_works(feature(t.d, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | F_SET, NULL, 0));
	assert_int_equal(one.revoked, 3);
	t_fails(t_phys(&one, &phys), ENODEV);
	t_works(feature(t.d, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | F_SET, NULL, 0));
	t_works(t_phys(&one, &phys));
	/* a reset, */
	t_works(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(one.revoked, 4);
	t_works(t_phys(&one, &phys));
	/* and for good with the device: the descriptor is left. */
	t_forget_fd(open_fd);
	t_dev_close(t);
	assert_int_equal(one.revoked, 5);
	t_fails(t_phys(&one, &phys), ENODEV);
	t = t_dev_open(NVME);
	t_fails(t_phys(&one, &phys), ENODEV);
	t_dev_close(t);
	assert_int_equal(one.revoked, 5);
	t_let_go(&one);
	t_forget_fd(fd);
}

/* One that is made while the BAR does not answer can be imported later. */
static void dma_buf_made_too_early(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	struct t_importer one;
	phys_addr_t phys;
	int fd;

	(void)state;
	t_put(t.d, CFG + PCI_COMMAND, 2, 0);
	fd = t_export(t.d, 0, O_RDWR, 0, PAGE_SIZE);
	t_import(&one, fd);
	t_fails(t_phys(&one, &phys), ENODEV);
	t_put(t.d, CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	t_works(t_phys(&one, &phys));
	assert_int_equal(one.revoked, 0);
	t_let_go(&one);
	t_forget_fd(fd);
	t_dev_close(t);
}

static void dma_buf_requests(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	struct {
		struct vfio_device_feature_dma_buf h;
		struct vfio_region_dma_range r[2];
	} q = { .h = { .nr_ranges = 1 }, .r = { { 0, PAGE_SIZE } } };
	const u32 get = VFIO_DEVICE_FEATURE_DMA_BUF | F_GET;

	struct t_importer two;
	phys_addr_t phys;
	int fd;

	(void)state;
	t_fails(feature(t.d, get, &q, 8), EINVAL);
	t_fails(feature(t.d, get, &q, 16), EINVAL);
	q.h.nr_ranges = 2; /* an iommufd wants one, also if they lie side by side */
	q.r[1] = (struct vfio_region_dma_range){ PAGE_SIZE, PAGE_SIZE };
	fd = (int)t_works(feature(t.d, get, &q, sizeof(q)));
	t_import(&two, fd);
	assert_int_equal(two.buf->size, 2 * PAGE_SIZE);
	t_fails(t_phys(&two, &phys), EOPNOTSUPP);
	t_let_go(&two);
	t_forget_fd(fd);
	q.h.nr_ranges = 0;
	t_fails(feature(t.d, get, &q, sizeof(q)), EINVAL);
	q.h.nr_ranges = 1000000;
	t_fails(feature(t.d, get, &q, sizeof(q)), ENOMEM);
	q.h.nr_ranges = 1;
	q.h.flags = 1;
	t_fails(feature(t.d, get, &q, sizeof(q)), EINVAL);
	q.h.flags = 0;
	for (u32 index = 1; index < 10; index++) {
		q.h.region_index = index;
		t_fails(feature(t.d, get, &q, sizeof(q)), ENODEV);
	}
	q.h.region_index = 0;
	q.r[0].length = 0;
	t_fails(feature(t.d, get, &q, sizeof(q)), EINVAL);
	q.r[0].length = 100;
	t_fails(feature(t.d, get, &q, sizeof(q)), EINVAL);
	q.r[0] = (struct vfio_region_dma_range){ 1ull << 40, PAGE_SIZE };
	t_fails(feature(t.d, get, &q, sizeof(q)), EINVAL);
	q.r[0] = (struct vfio_region_dma_range){ -PAGE_SIZE, 2 * PAGE_SIZE };
	t_fails(feature(t.d, get, &q, sizeof(q)), EOVERFLOW);
	t_fails(feature(t.d, VFIO_DEVICE_FEATURE_DMA_BUF | F_SET, &q, sizeof(q)), EINVAL);
	t_dev_close(t);
}

/* ---- ioeventfd ------------------------------------------------------------------------------- */

static long io(int d, u32 flags, u64 offset, u64 data, int fd)
{
	struct vfio_device_ioeventfd req = {
		.argsz = sizeof(req),
		.flags = flags,
		.offset = offset,
		.data = data,
		.fd = fd,
		.reserved = 1,
	};

	return t_ioctl(d, VFIO_DEVICE_IOEVENTFD, &req);
}

static unsigned writes(const struct fake_hw *hw)
{
	WITH_SILICON;

	return hw->writes;
}

static void forget_writes(struct fake_hw *hw)
{
	WITH_SILICON;

	hw->writes = 0;
}

static void wait_for_writes(const struct fake_hw *hw, unsigned want)
{
	for (unsigned i = 0; i < 2000 && writes(hw) != want; i++)
		usleep(1000);
	assert_int_equal(writes(hw), want);
}

static void ioeventfds(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME);
	const int e = t_eventfd(), wide = t_eventfd(), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct vfio_device_ioeventfd req = { .argsz = 27 };
	const u64 one = 1;
	unsigned added = 0;

	(void)state;
	guard_install();
	t_fails(t_ioctl(t.d, VFIO_DEVICE_IOEVENTFD, &req), EINVAL);
	t_fails(t_ioctl(t.d, VFIO_DEVICE_IOEVENTFD, T_BAD), EFAULT);
	t_fails(io(t.d, 4, 4, 0, -1), ENODEV);
	t_fails(io(t.d, 4, 4, 0, null), EINVAL);
	t_fails(io(t.d, 4, 4, 0, 999), EBADF);
	t_fails(io(t.d, 4, 4, 0, -2), EINVAL);
	t_works(io(t.d, 4, 4, 0x12345678, e));
	t_fails(io(t.d, 4, 4, 0x12345678, e), EEXIST);
	t_fails(io(t.d, 4, 4, 0x12345678, 999), EEXIST);
	t_works(io(t.d, 2, 4, 0x12345678, e)); /* another size is another one */
	t_works(io(t.d, 2, 4, 0x12345678, -1));
	t_fails(io(t.d, 3, 4, 0, e), EINVAL);
	t_fails(io(t.d, 0, 4, 0, e), EINVAL);
	t_fails(io(t.d, 16 | 4, 4, 0, e), EINVAL);
	t_works(io(t.d, 8, 0x100, 0x1122334455667788, wide)); /* Linux 7.3 can */
	forget_writes(t.hw);
	assert_int_equal(write(wide, &one, 8), 8);
	wait_for_writes(t.hw, 1);
	assert_int_equal(t.hw->last_len, 8);
	assert_memory_equal(t.hw->bar[0] + 0x100, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	t_works(io(t.d, 8, 0x100, 0x1122334455667788, -1));
	t_works(io(t.d, 8, 0x104, 1, e)); /* not aligned */
	t_works(io(t.d, 8, 0x104, 1, -1));
	t_fails(io(n.d, 8, 0x1ffc, 0, e), EINVAL); /* reaches into the MSI-X table */
	t_fails(io(t.d, 4, CFG + 4, 0, e), EINVAL);
	t_fails(io(t.d, 4, REGION(1), 0, e), EINVAL);
	t_fails(io(t.d, 4, REGION(6), 0, e), EINVAL);
	t_fails(io(t.d, 4, REGION(9), 0, e), EINVAL);
	t_fails(io(t.d, 4, 0xffffe, 0, e), EINVAL);
	t_fails(io(t.d, 4, 0x100000, 0, e), EINVAL);
	t_fails(io(n.d, 4, 0x2000, 0, e), EINVAL);
	t_fails(io(n.d, 4, 0x1ffe, 0, e), EINVAL);
	t_works(io(n.d, 4, 0x1ffc, 0, e));
	t_works(io(n.d, 4, 0x1ffc, 0, -1));

	forget_writes(t.hw);
	assert_int_equal(write(e, &one, 8), 8);
	wait_for_writes(t.hw, 1);
	assert_int_equal(t.hw->last_off, 4);
	assert_int_equal(t.hw->last_len, 4);
	assert_int_equal(t.hw->last_val, 0x12345678);
	t_put(t.d, CFG + 4, 2, 0); /* nobody answers: the write is lost, and the user is told */
	t_forget();
	assert_int_equal(write(e, &one, 8), 8);
	for (unsigned i = 0; i < 2000 && !t_said("ioeventfd"); i++)
		usleep(1000);
	assert_true(t_said("ioeventfd"));
	assert_int_equal(writes(t.hw), 1);
	t_put(t.d, CFG + 4, 2, 2);
	t_works(io(t.d, 4, 4, 0x12345678, -1));
	t_fails(io(t.d, 4, 4, 0x12345678, -1), ENODEV);

	t_works(io(t.d, 4, 5, 0xaabbccdd, e)); /* unaligned: in pieces */
	assert_int_equal(write(e, &one, 8), 8);
	wait_for_writes(t.hw, 4);
	assert_memory_equal(t.hw->bar[0] + 5, "\xdd\xcc\xbb\xaa", 4);
	t_works(io(t.d, 4, 0x80, 0x11111111, e)); /* a second on the same eventfd: both write */
	forget_writes(t.hw);
	assert_int_equal(write(e, &one, 8), 8);
	wait_for_writes(t.hw, 4);
	assert_memory_equal(t.hw->bar[0] + 0x80, "\x11\x11\x11\x11", 4);
	t_works(io(t.d, 4, 0x80, 0x11111111, -1));
	while (added < 2000 && !io(t.d, 4, 0x40, added, e))
		added++;
	assert_int_equal(added, 999);
	t_fails(io(t.d, 4, 0x44, 1, e), ENOSPC);
	close(e);
	close(wide);
	close(null);
	t_dev_close(n);
	t_dev_close(t);
	assert_int_equal(t_core(t)->nr_ioeventfds, 0);
}

/* ---- the driver ------------------------------------------------------------------------------ */

static void the_driver(void **state)
{
	struct device_driver *drv = bus_find_driver(&pci_bus_type, "vfio-pci");
	struct t_dev t = t_dev_open(EDU);
	int ret;

	(void)state;
	assert_non_null(drv);
	assert_true(drv->driver_managed_dma);
	assert_true(drv->in_use(&t_hw[EDU].pdev.dev));
	assert_false(drv->in_use(&t_hw[SMALL].pdev.dev));
	t_dev_close(t);
	assert_false(drv->in_use(&t_hw[EDU].pdev.dev));
	explain_begin();
	kernfs_lock();
	assert_int_equal(device_set_override(&t_hw[PORT1].pdev.dev, "vfio-pci", 8), 0);
	ret = device_driver_attach(drv, &t_hw[PORT1].pdev.dev);
	kernfs_unlock();
	assert_int_equal(ret, -EINVAL); /* a bridge */
	assert_non_null(explain_take());
	assert_null(t_hw[PORT1].pdev.dev.driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(device_info, unmap_all),
		cmocka_unit_test_teardown(atomic_ops, unmap_all),
		cmocka_unit_test_teardown(region_info, unmap_all),
		cmocka_unit_test_teardown(region_info_errors, unmap_all),
		cmocka_unit_test_teardown(irq_info, unmap_all),
		cmocka_unit_test_teardown(names, unmap_all),
		cmocka_unit_test_teardown(bar_reads, unmap_all),
		cmocka_unit_test_teardown(pieces, unmap_all),
		cmocka_unit_test_teardown(msix_table_is_left_out, unmap_all),
		cmocka_unit_test_teardown(rom_and_io, unmap_all),
		cmocka_unit_test_teardown(mmap_rows, unmap_all),
		cmocka_unit_test_teardown(small_bar_with_neighbour, unmap_all),
		cmocka_unit_test_teardown(touching_a_mapping, unmap_all),
		cmocka_unit_test_teardown(direct_pages, unmap_all),
		cmocka_unit_test_teardown(behind_a_small_bar, unmap_all),
		cmocka_unit_test_teardown(mapping_holds_the_device, unmap_all),
		cmocka_unit_test_teardown(no_trap, unmap_all),
		cmocka_unit_test_teardown(access_races_with_decoding, unmap_all),
		cmocka_unit_test_teardown(open_and_close, unmap_all),
		cmocka_unit_test_teardown(reset, unmap_all),
		cmocka_unit_test_teardown(hot_reset_info, unmap_all),
		cmocka_unit_test_teardown(hot_reset, unmap_all),
		cmocka_unit_test_teardown(hot_reset_of_a_pair, unmap_all),
		cmocka_unit_test_teardown(hot_reset_with_a_stranger, unmap_all),
		cmocka_unit_test_teardown(bus_reset_at_last_close, unmap_all),
		cmocka_unit_test_teardown(feature_probes, unmap_all),
		cmocka_unit_test_teardown(low_power, unmap_all),
		cmocka_unit_test_teardown(low_power_with_wakeup, unmap_all),
		cmocka_unit_test_teardown(dma_buf_of_a_bar, unmap_all),
		cmocka_unit_test_teardown(dma_buf_made_too_early, unmap_all),
		cmocka_unit_test_teardown(dma_buf_requests, unmap_all),
		cmocka_unit_test_teardown(ioeventfds, unmap_all),
		cmocka_unit_test_teardown(the_driver, unmap_all),
	};

	return cmocka_run_group_tests(tests, t_pci_machine, t_pci_machine_end);
}
