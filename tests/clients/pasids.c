/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pasids.c - usage: pasids amd|intel [hold|vf].  Page requests and PASIDs from end to end: a device that asks for pages, and a
 * program that serves it by a fault queue of iommufd.  Run on a machine with one pcitest, behind a unit with
 * all features.
 *
 *	demand paging		a page table of the kernel's, filled as the device asks
 *	PASIDs			tables of their own, page requests that carry one
 *	shared addresses	tables of the program's own above the kernel's (nested): the device works with PASID 7
 *				and the program's own pointers
 *
 * vf: with the first virtual function instead (pcitest,sriov=N).
 * hold: have one of each object, a page request that waits, say "ready" and wait for a signal.
 */
#include <linux/iommufd.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "preload_test.h"

#define PAGE 4096ull
#define IOVA 0x200000ull
#define PASID 7u
enum { IRQ_VECTOR = 2 };

/* Registers of pcitest, BAR0. */
enum { DMA_SRC = 0x20, DMA_DST = 0x28, DMA_LEN = 0x30, DMA_STATUS = 0x34, DMA_PASID = 0x50, DMA_MODE = 0x54,
       PAGE_BYTES = 0x58, PAGE_REQUEST = 0x5c };
enum { THREAD = 1, DEMAND = 2, PRIVILEGED = 4, WITH_IRQ = 8 };

static int iommufd, device, faults;
static uint32_t dev_id, fault_id;
static bool amd;
static unsigned char *mem; /* MEM_PAGES of them */
#define MEM_PAGES 32

/* ---- the device ------------------------------------------------------------------------------ */

static void wr(uint64_t reg, uint64_t val, unsigned len)
{
	ok(pwrite(device, &val, len, (off_t)reg) == (ssize_t)len);
}

static uint32_t status(void)
{
	uint32_t val = 0;

	ok(pread(device, &val, 4, DMA_STATUS) == 4);
	return val;
}

/* What became of a transfer: 0 or its errno. */
static uint32_t done(void)
{
	uint32_t val = EINPROGRESS;

	for (int i = 0; i < 100000 && val == EINPROGRESS; i++) {
		val = status();
		usleep(val == EINPROGRESS ? 100 : 0);
	}
	return val;
}

static void copy_begin(uint32_t pasid, uint32_t mode, uint64_t src, uint64_t dst, uint32_t len)
{
	wr(DMA_PASID, pasid, 4);
	wr(DMA_MODE, mode, 4);
	wr(DMA_SRC, src, 8);
	wr(DMA_DST, dst, 8);
	wr(DMA_LEN, len, 4);
}

static uint32_t copy(uint32_t pasid, uint32_t mode, uint64_t src, uint64_t dst, uint32_t len)
{
	copy_begin(pasid, mode, src, dst, len);
	return done();
}

static void attr_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static const uint8_t token[16] = { 1, 2, 3 };

/* Who has the physical function says who may have a virtual one. */
static void open_physfn(void)
{
	struct { struct vfio_device_feature feature; uint8_t uuid[16]; } set = { .feature.argsz = sizeof(set) };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = open("/dev/iommu", O_RDWR) };
	int pf = open("/dev/vfio/devices/vfio0", O_RDWR);

	ok(pf >= 0 && !ioctl(pf, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	set.feature.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	memcpy(set.uuid, token, sizeof(token));
	ok(!ioctl(pf, VFIO_DEVICE_FEATURE, &set));
	attr_put("/sys/module/vfio_pci/parameters/enable_sriov", "1");
	attr_put("/sys/bus/pci/devices/" BDF "/sriov_numvfs", "1");
}

static void open_device(bool vf)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	uint16_t command = 6;

	if (vf)
		open_physfn();
	iommufd = open("/dev/iommu", O_RDWR);
	device = open(vf ? "/dev/vfio/devices/vfio1" : "/dev/vfio/devices/vfio0", O_RDWR);
	ok(iommufd >= 0 && device >= 0);
	bind.iommufd = iommufd;
	if (vf) {
		gives(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind), EACCES);
		bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		bind.token_uuid_ptr = (uintptr_t)token;
	}
	ok(!ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	dev_id = bind.out_devid;
	ok(pwrite(device, &command, 2, (off_t)CONFIG_OFFSET + 4) == 2);
}

/* ---- iommufd --------------------------------------------------------------------------------- */

static uint32_t alloc_ioas(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	ok(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	return alloc.out_ioas_id;
}

static void map(uint32_t ioas, const void *va, uint64_t iova, unsigned pages)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m), .ioas_id = ioas, .user_va = (uintptr_t)va, .length = pages * PAGE, .iova = iova,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
	};

	ok(!ioctl(iommufd, IOMMU_IOAS_MAP, &m));
}

static uint32_t alloc_hwpt(uint32_t pt, uint32_t flags, uint32_t type, void *data, uint32_t len)
{
	struct iommu_hwpt_alloc a = {
		.size = sizeof(a), .flags = flags, .dev_id = dev_id, .pt_id = pt, .data_type = type, .data_len = len,
		.data_uptr = (uintptr_t)data, .fault_id = flags & IOMMU_HWPT_FAULT_ID_VALID ? fault_id : 0,
	};

	ok(!ioctl(iommufd, IOMMU_HWPT_ALLOC, &a));
	return a.out_hwpt_id;
}

static int attach(uint32_t pt, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt a = {
		.argsz = sizeof(a), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = pt, .pasid = pasid,
	};

	return ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);
}

static int detach(uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt d = {
		.argsz = sizeof(d), .flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0, .pasid = pasid,
	};

	return ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d);
}

static void alloc_faults(void)
{
	struct iommu_fault_alloc alloc = { .size = sizeof(alloc) };

	ok(!ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &alloc));
	fault_id = alloc.out_fault_id;
	faults = (int)alloc.out_fault_fd;
}

/* ---- the fault queue ------------------------------------------------------------------------- */

/* The next request, which comes within ten seconds. */
static struct iommu_hwpt_pgfault next_fault(void)
{
	struct pollfd p = { .fd = faults, .events = POLLIN };
	struct iommu_hwpt_pgfault fault;

	ok(poll(&p, 1, 10000) == 1 && p.revents & POLLIN);
	ok(read(faults, &fault, sizeof(fault)) == sizeof(fault));
	ok(fault.dev_id == dev_id && !fault.__reserved);
	return fault;
}

static void respond(uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response response = { .cookie = cookie, .code = code };

	ok(write(faults, &response, sizeof(response)) == sizeof(response));
}

static bool no_fault(void)
{
	struct iommu_hwpt_pgfault fault;
	struct pollfd p = { .fd = faults, .events = POLLIN };

	return poll(&p, 1, 0) == 0 && read(faults, &fault, sizeof(fault)) == 0;
}

/* One request for one page, as it should be. */
static void is_fault(const struct iommu_hwpt_pgfault *fault, uint64_t addr, uint32_t pasid, uint32_t perm)
{
	uint32_t flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE | (pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0);

	ok(fault->addr == addr && fault->perm == perm && fault->flags == flags);
	ok(!pasid || fault->pasid == pasid);
}

/* ---- what the unit says of itself ------------------------------------------------------------ */

static void test_info(void)
{
	struct iommu_hw_info_vtd vtd;
	struct iommu_hw_info_amd info;
	struct iommu_hw_info call = {
		.size = sizeof(call), .dev_id = dev_id, .data_uptr = amd ? (uintptr_t)&info : (uintptr_t)&vtd,
		.data_len = amd ? sizeof(info) : sizeof(vtd), .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
		.in_data_type = amd ? IOMMU_HW_INFO_TYPE_AMD : IOMMU_HW_INFO_TYPE_INTEL_VTD,
	};
	uint64_t modes = IOMMU_HW_CAP_PCI_PASID_EXEC | IOMMU_HW_CAP_PCI_PASID_PRIV;

	ok(!ioctl(iommufd, IOMMU_GET_HW_INFO, &call));
	ok(call.out_data_type == (uint32_t)(amd ? IOMMU_HW_INFO_TYPE_AMD : IOMMU_HW_INFO_TYPE_INTEL_VTD));
	ok(call.data_len == (amd ? sizeof(info) : sizeof(vtd)));
	ok(call.out_max_pasid_log2 == 16);
	/* An AMD unit's driver lets a device have PASIDs for ordinary reads and writes only. */
	ok(call.out_capabilities == (IOMMU_HW_CAP_DIRTY_TRACKING | (amd ? 0 : modes)));
	if (amd) {
		ok(info.efr & 1 << 1 && info.efr & 1 << 4);		       /* page requests, guest tables */
		ok((info.efr >> 32 & 0x1f) == 15);			       /* 16 bits of PASID */
	} else {
		ok(!(vtd.flags & ~IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17) && !vtd.__reserved && vtd.cap_reg);
		ok(vtd.ecap_reg & 1ull << 26 && vtd.ecap_reg & 1ull << 29);    /* nesting, page requests */
		ok(vtd.ecap_reg & 1ull << 2 && vtd.ecap_reg & 1ull << 40);     /* device-TLBs, PASIDs */
	}
	call.in_data_type = amd ? IOMMU_HW_INFO_TYPE_INTEL_VTD : IOMMU_HW_INFO_TYPE_AMD;
	gives(ioctl(iommufd, IOMMU_GET_HW_INFO, &call), EOPNOTSUPP);
	call.in_data_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	gives(ioctl(iommufd, IOMMU_GET_HW_INFO, &call), EOPNOTSUPP);
	call.in_data_type = IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV;
	gives(ioctl(iommufd, IOMMU_GET_HW_INFO, &call), EOPNOTSUPP);
	call.in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
	ok(!ioctl(iommufd, IOMMU_GET_HW_INFO, &call));
	ok(call.out_data_type != IOMMU_HW_INFO_TYPE_NONE);
}

/* ---- demand paging --------------------------------------------------------------------------- */

static void test_demand(uint32_t ioas)
{
	struct iommu_hwpt_pgfault fault;

	memset(mem, 0x5a, PAGE);
	copy_begin(0, DEMAND, IOVA, IOVA + PAGE, 64);
	fault = next_fault();
	is_fault(&fault, IOVA, 0, IOMMU_PGFAULT_PERM_READ);
	ok(status() == EINPROGRESS);
	map(ioas, mem, IOVA, 1);
	respond(fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	fault = next_fault();
	is_fault(&fault, IOVA + PAGE, 0, IOMMU_PGFAULT_PERM_WRITE);
	map(ioas, mem + PAGE, IOVA + PAGE, 1);
	respond(fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	ok(done() == 0 && !memcmp(mem, mem + PAGE, 64));
	/* Refused, and not asked for by a device that does not wait. */
	copy_begin(0, DEMAND, IOVA, IOVA + 8 * PAGE, 64);
	fault = next_fault();
	respond(fault.cookie, IOMMUFD_PAGE_RESP_INVALID);
	ok(done() == EFAULT);
	ok(copy(0, THREAD, IOVA, IOVA + 8 * PAGE, 64) == EFAULT && no_fault());
	/* Success without a page: it asks again. */
	copy_begin(0, DEMAND, IOVA, IOVA + 8 * PAGE, 64);
	for (int i = 0; i < 3; i++) {
		fault = next_fault();
		is_fault(&fault, IOVA + 8 * PAGE, 0, IOMMU_PGFAULT_PERM_WRITE);
		respond(fault.cookie, i < 2 ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID);
	}
	ok(done() == EFAULT);
}

/* A group of pages is read as a whole, and answered once; a reset waits for nobody. */
static void test_group(void)
{
	struct iommu_hwpt_pgfault fault[4];
	struct iommu_hwpt_page_response response;
	struct pollfd p = { .fd = faults, .events = POLLIN };

	wr(DMA_PASID, 0, 4);
	wr(DMA_DST, IOVA + 16 * PAGE + 8, 8);
	wr(PAGE_BYTES, 3 * PAGE, 4);
	wr(PAGE_REQUEST, 3, 4);
	ok(poll(&p, 1, 10000) == 1);
	gives(read(faults, fault, sizeof(fault[0])), EINVAL); /* it does not fit */
	ok(read(faults, fault, sizeof(fault)) == sizeof(fault));
	for (unsigned i = 0; i < 4; i++) {
		ok(fault[i].addr == IOVA + (16 + i) * PAGE && fault[i].cookie == fault[0].cookie);
		ok(fault[i].perm == (IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE));
		ok(fault[i].flags == (i == 3 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0));
	}
	response = (struct iommu_hwpt_page_response){ .cookie = fault[0].cookie, .code = 7 };
	gives(write(faults, &response, sizeof(response)), EINVAL);
	respond(fault[3].cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	response.code = IOMMUFD_PAGE_RESP_SUCCESS;
	gives(write(faults, &response, sizeof(response)), EINVAL); /* answered */
	ok(done() == 0);
	wr(PAGE_REQUEST, 1, 4);
	ok(poll(&p, 1, 10000) == 1);
	ok(!ioctl(device, VFIO_DEVICE_RESET));
	ok(status() == 0);
	ok(read(faults, fault, sizeof(fault)) == sizeof(fault));
	respond(fault[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS); /* nobody minds */
	ok(pwrite(device, &(uint16_t){ 6 }, 2, (off_t)CONFIG_OFFSET + 4) == 2);
}

/* ---- PASIDs ---------------------------------------------------------------------------------- */

static void set_irq(int event)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)];
	struct vfio_irq_set *set = (void *)buf;

	*set = (struct vfio_irq_set){ .argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = VFIO_PCI_MSIX_IRQ_INDEX, .start = IRQ_VECTOR, .count = 1 };
	memcpy(set->data, &event, sizeof(int));
	ok(!ioctl(device, VFIO_DEVICE_SET_IRQS, set));
}

static void test_pasid(void)
{
	uint32_t other = alloc_ioas(), execute = IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_EXEC;
	uint32_t table = alloc_hwpt(other, IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID, 0, NULL, 0);
	int event = eventfd(0, 0);
	struct iommu_hwpt_pgfault fault;
	uint64_t count;

	ok(copy(PASID, 0, IOVA, IOVA + PAGE, 64) == EFAULT); /* nobody's */
	ok(copy(1 << 16, 0, IOVA, IOVA + PAGE, 64) == EINVAL); /* the device has 16 bits of PASID */
	gives(attach(table, 1 << 16), EINVAL);
	ok(!attach(table, PASID));
	ok(!attach(table, PASID)); /* VFIO replaces, here by the same */
	set_irq(event);
	memset(mem + 4 * PAGE, 0x77, PAGE);
	copy_begin(PASID, DEMAND | WITH_IRQ | IRQ_VECTOR << 16, IOVA, IOVA + 64, 64);
	fault = next_fault();
	is_fault(&fault, IOVA, PASID, IOMMU_PGFAULT_PERM_READ); /* mapped without a PASID, not with this one */
	map(other, mem + 4 * PAGE, IOVA, 1);
	respond(fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	ok(read(event, &count, 8) == 8 && count == 1);
	ok(done() == 0 && !memcmp(mem + 4 * PAGE, mem + 4 * PAGE + 64, 64));
	ok(copy(0, 0, IOVA, IOVA + PAGE, 64) == 0 && mem[PAGE] == 0x5a);
	/* For execution, and privileged: where the unit's driver lets the device say so. */
	wr(DMA_PASID, PASID, 4);
	wr(DMA_MODE, PRIVILEGED, 4);
	wr(DMA_DST, IOVA + PAGE, 8);
	wr(PAGE_BYTES, 1, 4);
	wr(PAGE_REQUEST, 4, 4);
	fault = next_fault();
	is_fault(&fault, IOVA + PAGE, PASID, amd ? (uint32_t)IOMMU_PGFAULT_PERM_READ : execute | IOMMU_PGFAULT_PERM_PRIV);
	respond(fault.cookie, IOMMUFD_PAGE_RESP_INVALID);
	ok(done() == EFAULT);
	/* Who lets go of the PASID leaves nobody waiting. */
	wr(PAGE_REQUEST, 1, 4);
	(void)next_fault();
	ok(!detach(PASID));
	ok(done() == EFAULT);
	ok(copy(PASID, 0, IOVA, IOVA + 64, 64) == EFAULT);
	close(event);
}

/* ---- shared addresses ------------------------------------------------------------------------ */

/*
 * The program's memory at its own addresses: the kernel's table (the parent) says which memory that is, the
 * program's table which of it the device may use with PASID 7, and how.  Its pages come from the end of mem.
 */
static unsigned next_table;

static uint64_t *table_new(void)
{
	return memset(mem + (MEM_PAGES - ++next_table) * PAGE, 0, PAGE);
}

enum { P = 1, RW = 2, US = 4, EXTENDED = 1 << 10, ACCESSED = 1 << 5, DIRTY = 1 << 6 };

/* The entry of @va in the program's table. */
static uint64_t *entry_of(uint64_t *table, const void *va)
{
	uintptr_t at = (uintptr_t)va;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *entry = &table[at >> shift & 511];

		if (!*entry)
			*entry = (uintptr_t)table_new() | P | RW | US;
		table = (uint64_t *)(uintptr_t)(*entry & ~0xfffull & ~(1ull << 63));
	}
	return &table[at >> 12 & 511];
}

static void allow(uint64_t *table, void *va, unsigned how)
{
	*entry_of(table, va) = (uintptr_t)va | P | how;
}

/* VT-d: a nested table for the PASID.  AMD: one for the device, with a table of PASIDs in it. */
static uint32_t nested_alloc(uint32_t parent, uint64_t *table, uint64_t flags)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = (uintptr_t)table, .addr_width = 48, .flags = flags };
	uint64_t *gcr3 = amd ? table_new() : NULL, at = (uintptr_t)gcr3;
	struct iommu_hwpt_amd_guest dte = { .dte = { 3 | 1ull << 55 | (at >> 12 & 7) << 58,
						     (at >> 15 & 0xffff) << 16 | at >> 31 << 43 } };

	if (!amd)
		return alloc_hwpt(parent, IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID, IOMMU_HWPT_DATA_VTD_S1, &s1,
				  sizeof(s1));
	gcr3[PASID] = P | (uintptr_t)table;
	return alloc_hwpt(parent, IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID, IOMMU_HWPT_DATA_AMD_GUEST, &dte,
			  sizeof(dte));
}

static void nested_attach(uint32_t rid, uint32_t nested)
{
	if (amd)
		ok(!attach(nested, 0));
	else
		ok(!attach(rid, 0) && !attach(nested, PASID));
}

/* AMD has no call for it: attaching anew does it. */
static void invalidate(uint32_t rid, uint32_t nested, void *va)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = { .addr = (uintptr_t)va, .npages = 1, .flags = IOMMU_VTD_INV_FLAGS_LEAF };
	struct iommu_hwpt_invalidate call = {
		.size = sizeof(call), .hwpt_id = nested, .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(inv), .entry_num = 1, .data_uptr = (uintptr_t)&inv,
	};

	if (amd) {
		ok(!attach(rid, 0) && !attach(nested, 0));
		return;
	}
	ok(!ioctl(iommufd, IOMMU_HWPT_INVALIDATE, &call) && call.entry_num == 1);
}

static void test_shared(void)
{
	uint32_t ioas = alloc_ioas(), parent, nested;
	unsigned char *from = mem + 8 * PAGE, *to = mem + 9 * PAGE;
	struct iommu_hwpt_pgfault fault;
	uint64_t *table = table_new();

	map(ioas, mem, (uintptr_t)mem, MEM_PAGES);
	parent = alloc_hwpt(ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | (amd ? 0 : IOMMU_HWPT_ALLOC_PASID), 0, NULL, 0);
	nested = nested_alloc(parent, table, 0);
	nested_attach(parent, nested);
	memset(from, 0x3c, 64);
	allow(table, from, US);
	copy_begin(PASID, DEMAND, (uintptr_t)from, (uintptr_t)to, 64);
	fault = next_fault();
	is_fault(&fault, (uintptr_t)to, PASID, IOMMU_PGFAULT_PERM_WRITE);
	allow(table, to, US | RW);
	respond(fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	ok(done() == 0 && !memcmp(from, to, 64));
	ok((*entry_of(table, from) & (ACCESSED | DIRTY)) == ACCESSED);
	ok((*entry_of(table, to) & (ACCESSED | DIRTY)) == (ACCESSED | DIRTY));
	ok(!(*entry_of(table, to) & EXTENDED));
	/* Copy on write, as an operating system does it: read only, until the device asks. */
	*entry_of(table, to) &= ~(uint64_t)RW;
	invalidate(parent, nested, to);
	memset(from, 0x3d, 64);
	copy_begin(PASID, DEMAND, (uintptr_t)from, (uintptr_t)to, 64);
	fault = next_fault();
	is_fault(&fault, (uintptr_t)to, PASID, IOMMU_PGFAULT_PERM_WRITE);
	ok(to[0] == 0x3c);
	*entry_of(table, to) |= RW;
	respond(fault.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	ok(done() == 0 && to[63] == 0x3d);
	/* What the parent does not have is no page request's business: answered, and still a fault. */
	*entry_of(table, to) = 0x7000 | P | RW | US;
	invalidate(parent, nested, to);
	copy_begin(PASID, DEMAND, (uintptr_t)from, (uintptr_t)to, 64);
	fault = next_fault();
	respond(fault.cookie, IOMMUFD_PAGE_RESP_INVALID);
	ok(done() == EFAULT);
	ok(amd || !detach(PASID));
}

/* What a VT-d table may be told: privileged requests (SRE, WPE), extended accessed bits (EAFE). */
static void test_flags(void)
{
	static const struct {
		uint64_t flags;
		uint32_t user, super, read_only; /* what becomes of copies to such pages, privileged, but the first */
	} cases[] = {
		{ 0, 0, EFAULT, EFAULT },
		{ IOMMU_VTD_S1_SRE, 0, 0, 0 },
		{ IOMMU_VTD_S1_WPE, 0, EFAULT, EFAULT },
		{ IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_WPE, 0, 0, EFAULT },
		{ IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_EAFE, 0, 0, 0 },
	};
	unsigned char *from = mem + 10 * PAGE, *user = mem + 11 * PAGE, *super = mem + 12 * PAGE, *read_only = mem + 13 * PAGE;
	uint32_t ioas = alloc_ioas(), parent, nested;

	map(ioas, mem, (uintptr_t)mem, MEM_PAGES);
	parent = alloc_hwpt(ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, 0, NULL, 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t *table, extended = cases[i].flags & IOMMU_VTD_S1_EAFE ? EXTENDED : 0;

		next_table = 0;
		table = table_new();
		allow(table, from, US | RW);
		allow(table, user, US | RW);
		allow(table, super, RW);
		allow(table, read_only, US);
		nested = nested_alloc(parent, table, cases[i].flags);
		nested_attach(parent, nested);
		ok(copy(PASID, 0, (uintptr_t)from, (uintptr_t)user, 64) == cases[i].user);
		ok(copy(PASID, 0, (uintptr_t)from, (uintptr_t)super, 64) == EFAULT);
		ok(copy(PASID, 0, (uintptr_t)from, (uintptr_t)read_only, 64) == EFAULT);
		ok(copy(PASID, PRIVILEGED, (uintptr_t)from, (uintptr_t)super, 64) == cases[i].super);
		ok(copy(PASID, PRIVILEGED, (uintptr_t)from, (uintptr_t)read_only, 64) == cases[i].read_only);
		ok((*entry_of(table, user) & (EXTENDED | ACCESSED | DIRTY)) == (extended | ACCESSED | DIRTY));
		ok((*entry_of(table, from) & (EXTENDED | ACCESSED | DIRTY)) == (extended | ACCESSED));
		ok(((*entry_of(table, super) & DIRTY) != 0) == (cases[i].super == 0));
		ok(((*entry_of(table, read_only) & DIRTY) != 0) == (cases[i].read_only == 0));
		ok((table[(uintptr_t)user >> 39 & 511] & EXTENDED) == extended);
		ok(!detach(PASID));
	}
}

static void test_unknown_flags(uint32_t parent)
{
	struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 48, .flags = 8 };
	struct iommu_hwpt_alloc a = {
		.size = sizeof(a), .dev_id = dev_id, .pt_id = parent, .data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1), .data_uptr = (uintptr_t)&s1,
	};

	gives(ioctl(iommufd, IOMMU_HWPT_ALLOC, &a), EOPNOTSUPP); /* what follows SRE, EAFE and WPE */
	a.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	gives(ioctl(iommufd, IOMMU_HWPT_ALLOC, &a), EOPNOTSUPP);
}

static uint32_t viommu_alloc(uint32_t parent)
{
	struct iommu_viommu_alloc alloc = { .size = sizeof(alloc), .type = 1, .dev_id = dev_id, .hwpt_id = parent };
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice), .dev_id = dev_id, .virt_id = 0x42 };
	struct iommu_veventq_alloc queue = { .size = sizeof(queue), .type = 1, .veventq_depth = 8 };

	ok(!ioctl(iommufd, IOMMU_VIOMMU_ALLOC, &alloc));
	vdevice.viommu_id = queue.viommu_id = alloc.out_viommu_id;
	ok(!ioctl(iommufd, IOMMU_VDEVICE_ALLOC, &vdevice) && !ioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &queue));
	return alloc.out_viommu_id;
}

static void hold(void)
{
	uint32_t ioas = alloc_ioas(), parent = alloc_hwpt(ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, NULL, 0);
	struct pollfd p = { .fd = faults, .events = POLLIN };
	uint64_t *table = table_new();
	uint32_t nested;

	map(ioas, mem, (uintptr_t)mem, MEM_PAGES);
	if (!amd)
		parent = alloc_hwpt(ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, 0, NULL, 0);
	nested = nested_alloc(amd ? viommu_alloc(parent) : parent, table, 0);
	nested_attach(parent, nested);
	copy_begin(PASID, DEMAND, (uintptr_t)mem, (uintptr_t)mem, 64);
	ok(poll(&p, 1, 10000) == 1);
	puts("ready");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	uint32_t ioas, rid;

	ok(argc >= 2);
	amd = !strcmp(argv[1], "amd");
	mem = mmap(NULL, MEM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(mem != MAP_FAILED);
	open_device(argc > 2 && !strcmp(argv[2], "vf"));
	alloc_faults();
	if (argc > 2 && !strcmp(argv[2], "hold")) {
		hold();
		return 0;
	}
	test_info();
	ioas = alloc_ioas();
	rid = alloc_hwpt(ioas, IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID, 0, NULL, 0);
	ok(!attach(rid, 0));
	test_demand(ioas);
	test_group();
	test_pasid();
	test_shared();
	ok(no_fault());
	if (!amd)
		test_flags();
	test_unknown_flags(alloc_hwpt(alloc_ioas(), IOMMU_HWPT_ALLOC_NEST_PARENT, 0, NULL, 0));
	puts("page requests and PASIDs");
	return 0;
}
