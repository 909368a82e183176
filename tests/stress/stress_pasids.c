/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stress_pasids.c - page requests, PASIDs, nested tables and replacing, all at once, for a while.
 *
 * usage: stress_pasids [-s SECONDS] [-S SEED]
 *
 * The machine has one pcitest behind an IOMMU with all features.  One thread has the device copy, without a PASID or with
 * one of four, on demand; a second serves its page requests, or refuses; a third takes pages away again; a fourth
 * attaches, replaces and detaches PASIDs and the device itself, makes page tables and fault queues anew and destroys
 * the old ones; a fifth resets the device.  All page tables show the same memory at the same addresses, in part: so a copy
 * that succeeds has brought the right bytes, whatever happened meanwhile, and one that does not says EFAULT,
 * ECANCELED, EPERM or EBUSY.  Nobody waits for ever.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stress_sys.h"

#define PAGE 4096u
#define DATA_PAGES 16u
#define TABLE_PAGES 8u /* the guest's: root, two below, the lowest, AMD's table of PASIDs */
#define IOVA 0x200000ull
#define GPA 0x40000000ull
#define PASIDS 4u
#define QUEUES 2u
#define PLACES (PASIDS + 1) /* what something is attached to: 0 the device, then its PASIDs */
#define CONFIG (7ull << 40)
#define NAME "0000:03:00.0"

enum { DMA_SRC = 0x20, DMA_DST = 0x28, DMA_LEN = 0x30, DMA_STATUS = 0x34, DMA_PASID = 0x50, DMA_MODE = 0x54, DEMAND = 2 };

static unsigned seconds = 10, seed = 1;
static atomic_bool stop;
static bool amd;
static int iommufd, device;
static uint32_t dev_id, ioas[2], parent_ioas, parent;
static unsigned char *mem; /* DATA_PAGES, then TABLE_PAGES */
static atomic_uint copies, failures, served, refused, changes, resets, nested_copies;

/* Which table each place has; the changer's, but for its looking by others, who may be late. */
static atomic_uint attached[PLACES]; /* HWPT; 0 nothing */
static atomic_uint nested_hwpt;

/* The queues: a number and a descriptor, made and closed by the changer, read by the server. */
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static struct { uint32_t id; int fd; } queues[QUEUES];

#define check(cond) do { if (!(cond)) broken(__LINE__, #cond); } while (0)

static _Noreturn void broken(int line, const char *what)
{
	fprintf(stderr, "stress_pasids: line %d: %s (errno %d); seed %u\n", line, what, errno, seed);
	_exit(1);
}

/* ---- calls ---- */

static uint32_t ioas_alloc(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	check(!s_ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	return alloc.out_ioas_id;
}

static int ioas_map(uint32_t id, void *from, uint64_t iova, unsigned pages)
{
	struct iommu_ioas_map map = { .size = sizeof(map), .ioas_id = id, .user_va = (uintptr_t)from, .iova = iova,
				      .length = pages * PAGE, .flags = 7 };

	return (int)s_ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

static int ioas_unmap(uint32_t id, uint64_t iova)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = id, .iova = iova, .length = PAGE };

	return (int)s_ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap);
}

static int destroy(uint32_t id)
{
	return (int)s_ioctl(iommufd, IOMMU_DESTROY, &(struct iommu_destroy){ .size = sizeof(struct iommu_destroy), .id = id });
}

/* 0: not this time. */
static uint32_t hwpt_alloc(uint32_t pt, uint32_t flags, uint32_t fault, uint32_t type, const void *data, uint32_t len)
{
	struct iommu_hwpt_alloc a = {
		.size = sizeof(a), .flags = flags | (fault ? IOMMU_HWPT_FAULT_ID_VALID : 0), .dev_id = dev_id, .pt_id = pt,
		.data_type = type, .data_uptr = (uintptr_t)data, .data_len = len, .fault_id = fault,
	};

	return s_ioctl(iommufd, IOMMU_HWPT_ALLOC, &a) ? 0 : a.out_hwpt_id;
}

static int attach(uint32_t pasid, uint32_t hwpt)
{
	struct vfio_device_attach_iommufd_pt at = { .argsz = sizeof(at), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0,
						    .pt_id = hwpt, .pasid = pasid };

	return (int)s_ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at);
}

static void detach(uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt at = { .argsz = sizeof(at), .flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0,
						    .pasid = pasid };

	check(!s_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &at));
}

static void queue_open(unsigned i)
{
	struct iommu_fault_alloc alloc = { .size = sizeof(alloc) };

	check(!s_ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &alloc));
	queues[i].id = alloc.out_fault_id;
	queues[i].fd = (int)alloc.out_fault_fd;
}

static void master_on(void)
{
	uint16_t command = 6;

	check(s_pwrite(device, &command, 2, CONFIG + 4) == 2);
}

/* ---- the guest's tables: IOVA is data page by page, as far as the lowest table says ---- */

static _Atomic uint64_t *table(unsigned i)
{
	return (_Atomic uint64_t *)(mem + (DATA_PAGES + i) * PAGE);
}

static uint64_t table_gpa(unsigned i)
{
	return GPA + (DATA_PAGES + i) * PAGE;
}

static void tables_init(void)
{
	atomic_store(&table(0)[IOVA >> 39], 7 | table_gpa(1));
	atomic_store(&table(1)[IOVA >> 30], 7 | table_gpa(2));
	atomic_store(&table(2)[IOVA >> 21], 7 | table_gpa(3));
	for (unsigned pasid = 0; pasid < PLACES; pasid++)
		atomic_store(&table(4)[pasid], 1 | table_gpa(0));
}

static void guest_maps(unsigned page, bool there)
{
	atomic_store(&table(3)[page], there ? 7 | (GPA + page * PAGE) : 0);
}

static uint32_t nested_alloc(uint32_t fault)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = table_gpa(0), .addr_width = 48 };
	uint64_t at = table_gpa(4);
	struct iommu_hwpt_amd_guest dte = { .dte = { 3 | 3ull << 54 | (at >> 12 & 7) << 58,
						     (at >> 15 & 0xffff) << 16 | at >> 31 << 43 } };

	if (amd)
		return hwpt_alloc(parent, IOMMU_HWPT_ALLOC_PASID, fault, IOMMU_HWPT_DATA_AMD_GUEST, &dte, sizeof(dte));
	return hwpt_alloc(parent, IOMMU_HWPT_ALLOC_PASID, fault, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1));
}

static void guest_invalidates(unsigned page)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = { .addr = IOVA + page * PAGE, .npages = 1 };
	struct iommu_hwpt_invalidate call = {
		.size = sizeof(call), .hwpt_id = atomic_load(&nested_hwpt), .entry_len = sizeof(inv), .entry_num = 1,
		.data_uptr = (uintptr_t)&inv,
	};

	if (!amd) /* the table may be another by now, or none */
		check(!s_ioctl(iommufd, IOMMU_HWPT_INVALIDATE, &call) || errno == ENOENT || errno == EINVAL);
}

/* ---- the device ---- */

static void wr(unsigned reg, uint64_t val, unsigned len)
{
	check(s_pwrite(device, &val, len, reg) == (ssize_t)len);
}

/* A copy, and what became of it. */
static uint32_t copy(uint32_t pasid, uint64_t src, uint64_t dst, uint32_t len)
{
	uint32_t status = EINPROGRESS;

	wr(DMA_PASID, pasid, 4);
	wr(DMA_MODE, DEMAND, 4);
	wr(DMA_SRC, src, 8);
	wr(DMA_DST, dst, 8);
	wr(DMA_LEN, len, 4);
	for (double until = now() + 30; status == EINPROGRESS;) {
		check(s_pread(device, &status, 4, DMA_STATUS) == 4);
		check(now() < until);
		nap(10);
	}
	return status;
}

static pthread_mutex_t device_lock = PTHREAD_MUTEX_INITIALIZER; /* a copy, with what it is to bring; or a reset's end */

static void copy_once(unsigned *state)
{
	unsigned from = rnd(state, DATA_PAGES / 2), to = DATA_PAGES / 2 + rnd(state, DATA_PAGES / 2), pasid = rnd(state, PLACES);
	unsigned len = 1 + rnd(state, PAGE), had = atomic_load(&attached[pasid]), was = atomic_load(&resets);
	uint32_t status;

	for (unsigned i = 0; i < len; i++)
		mem[from * PAGE + i] = (unsigned char)rnd(state, 256);
	memset(mem + to * PAGE, 0, len);
	status = copy(pasid, IOVA + from * PAGE, IOVA + to * PAGE, len);
	/* In a reset, or one came: its registers were lost, and what it did, if anything, is unknown. */
	if (was % 2 || was != atomic_load(&resets))
		return;
	check(!status || status == EFAULT || status == ECANCELED || status == EPERM || status == EBUSY);
	if (status) {
		atomic_fetch_add(&failures, 1);
		return;
	}
	check(!memcmp(mem + from * PAGE, mem + to * PAGE, len));
	atomic_fetch_add(&copies, 1);
	if (had == atomic_load(&nested_hwpt) && had == atomic_load(&attached[pasid]))
		atomic_fetch_add(&nested_copies, 1);
}

static void *copier(void *arg)
{
	unsigned state = seed * 31 + 1;

	while (!atomic_load(&stop)) {
		pthread_mutex_lock(&device_lock);
		copy_once(&state);
		pthread_mutex_unlock(&device_lock);
	}
	return arg;
}

/* At any moment, also while pages are waited for. */
static void *resetter(void *arg)
{
	unsigned state = seed * 31 + 2;

	while (!atomic_load(&stop)) {
		nap(1000 + rnd(&state, 40000));
		atomic_fetch_add(&resets, 1);
		check(!s_ioctl(device, VFIO_DEVICE_RESET, NULL));
		master_on();
		atomic_fetch_add(&resets, 1); /* while it is odd, a reset is under way */
	}
	return arg;
}

/* ---- who serves ---- */

static void give(unsigned page)
{
	if (page >= DATA_PAGES)
		return;
	for (unsigned i = 0; i < 2; i++) /* there already: fine */
		(void)ioas_map(ioas[i], mem + page * PAGE, IOVA + page * PAGE, 1);
	guest_maps(page, true);
}

static void answer(int fd, const struct iommu_hwpt_pgfault *fault, unsigned *state)
{
	struct iommu_hwpt_page_response response = { .cookie = fault->cookie, .code = IOMMUFD_PAGE_RESP_SUCCESS };

	check(fault->dev_id == dev_id && fault->pasid <= PASIDS);
	if (rnd(state, 16)) {
		give((unsigned)((fault->addr - IOVA) / PAGE));
		atomic_fetch_add(&served, 1);
	} else {
		response.code = IOMMUFD_PAGE_RESP_INVALID;
		atomic_fetch_add(&refused, 1);
	}
	/* Detached or reset meanwhile: then nobody waits, and the queue may know it no more. */
	check(s_write(fd, &response, sizeof(response)) == sizeof(response) || errno == EINVAL);
}

static void *server(void *arg)
{
	unsigned state = seed * 31 + 3;
	struct iommu_hwpt_pgfault fault[4];

	while (!atomic_load(&stop)) {
		bool any = false;

		pthread_mutex_lock(&queue_lock);
		for (unsigned i = 0; i < QUEUES; i++) {
			ssize_t n = s_read(queues[i].fd, fault, sizeof(fault));

			check(n >= 0 && n % (ssize_t)sizeof(fault[0]) == 0);
			for (unsigned j = 0; j < (size_t)n / sizeof(fault[0]); j++)
				if (fault[j].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
					answer(queues[i].fd, &fault[j], &state);
			any |= n > 0;
		}
		pthread_mutex_unlock(&queue_lock);
		if (!any)
			nap(20);
	}
	return arg;
}

static void *taker(void *arg)
{
	unsigned state = seed * 31 + 4;

	while (!atomic_load(&stop)) {
		unsigned page = rnd(&state, DATA_PAGES);

		if (rnd(&state, 2)) {
			check(!ioas_unmap(ioas[rnd(&state, 2)], IOVA + page * PAGE) || errno == ENOENT);
		} else {
			guest_maps(page, false);
			guest_invalidates(page);
		}
		nap(rnd(&state, 300));
	}
	return arg;
}

/* ---- who changes tables ---- */

static uint32_t paging[3]; /* the changer's */

/* A table in the place of an old one, which goes if nothing is attached to it. */
static void renew(unsigned which, unsigned *state)
{
	uint32_t fault = rnd(state, 8) ? queues[rnd(state, QUEUES)].id : 0;
	uint32_t fresh = which == 3 ? nested_alloc(fault) : hwpt_alloc(ioas[which % 2], IOMMU_HWPT_ALLOC_PASID, fault, 0, NULL, 0);
	uint32_t old = which == 3 ? atomic_load(&nested_hwpt) : paging[which];

	check(fresh);
	if (destroy(old)) {
		check(errno == EBUSY);
		check(!destroy(fresh));
	} else if (which == 3) {
		atomic_store(&nested_hwpt, fresh);
	} else {
		paging[which] = fresh;
	}
}

static void queue_renew(unsigned i)
{
	pthread_mutex_lock(&queue_lock);
	s_close(queues[i].fd);
	if (destroy(queues[i].id)) { /* tables ask it: what they ask is refused from now on, so they must go */
		check(errno == EBUSY);
		queue_open(i);
	} else {
		queue_open(i);
	}
	pthread_mutex_unlock(&queue_lock);
}

static void place(unsigned pasid, uint32_t hwpt)
{
	if (!attach(pasid, hwpt))
		atomic_store(&attached[pasid], hwpt);
	else /* AMD: a guest's table of PASIDs leaves no room for ours */
		check(errno == EINVAL || errno == EBUSY || errno == EOPNOTSUPP);
}

static void unplace(unsigned pasid)
{
	detach(pasid);
	atomic_store(&attached[pasid], 0);
}

/* An AMD guest's table has its PASIDs: it is for the device, which has none of ours then. */
static void place_nested(unsigned pasid)
{
	if (amd) {
		for (unsigned i = 1; i < PLACES; i++)
			unplace(i);
		pasid = 0;
	}
	place(pasid, atomic_load(&nested_hwpt));
}

static void change(unsigned *state)
{
	unsigned pasid = rnd(state, PLACES);

	switch (rnd(state, 10)) {
	case 0:
		unplace(pasid);
		break;
	case 1: case 2: case 3:
		place_nested(pasid);
		break;
	case 4:
		renew(rnd(state, 4), state);
		break;
	case 5:
		if (!rnd(state, 8))
			queue_renew(rnd(state, QUEUES));
		break;
	default:
		place(pasid, paging[rnd(state, 3)]);
	}
	atomic_fetch_add(&changes, 1);
}

static void *changer(void *arg)
{
	unsigned state = seed * 31 + 5;

	while (!atomic_load(&stop)) {
		change(&state);
		nap(rnd(&state, 500));
	}
	return arg;
}

/* ---- all ---- */

static void open_device(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	uint32_t id = 0;

	device = s_open_cdev(NAME);
	check(device >= 0 && !s_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	dev_id = bind.out_devid;
	check(s_pread(device, &id, 4, CONFIG) == 4 && id == 0x7e571234);
}

static void open_all(void)
{
	struct iommu_hw_info info = { .size = sizeof(info) };

	iommufd = s_open("/dev/iommu");
	check(iommufd >= 0);
	open_device();
	info.dev_id = dev_id;
	check(!s_ioctl(iommufd, IOMMU_GET_HW_INFO, &info) && info.out_max_pasid_log2);
	amd = info.out_data_type == IOMMU_HW_INFO_TYPE_AMD;
	master_on();
	for (unsigned i = 0; i < QUEUES; i++)
		queue_open(i);
	ioas[0] = ioas_alloc();
	ioas[1] = ioas_alloc();
	parent_ioas = ioas_alloc();
	check(!ioas_map(parent_ioas, mem, GPA, DATA_PAGES + TABLE_PAGES));
	parent = hwpt_alloc(parent_ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | (amd ? 0 : IOMMU_HWPT_ALLOC_PASID), 0, 0, NULL, 0);
	tables_init();
	for (unsigned i = 0; i < 3; i++)
		paging[i] = hwpt_alloc(ioas[i % 2], IOMMU_HWPT_ALLOC_PASID, queues[i % QUEUES].id, 0, NULL, 0);
	atomic_store(&nested_hwpt, nested_alloc(queues[0].id));
	check(parent && paging[0] && paging[1] && paging[2] && atomic_load(&nested_hwpt));
}

/* In an order that leaves much to the kernel. */
static void close_all(void)
{
	s_close(queues[0].fd);
	s_close(iommufd);
	s_close(device);
	s_close(queues[1].fd);
}

static void run(void)
{
	static void *(*const parts[])(void *) = { copier, resetter, server, taker, changer };
	pthread_t t[sizeof(parts) / sizeof(parts[0])];

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		check(!pthread_create(&t[i], NULL, parts[i], NULL));
	for (double until = now() + seconds; now() < until;)
		nap(20000);
	atomic_store(&stop, true);
	/* Nobody serves any more: whoever waits for pages is let go by who detaches. */
	for (unsigned i = sizeof(parts) / sizeof(parts[0]); i-- > 1;)
		check(!pthread_join(t[i], NULL));
	for (unsigned pasid = 0; pasid < PLACES; pasid++)
		detach(pasid);
	check(!pthread_join(t[0], NULL));
}

int main(int argc, char **argv)
{
	uint32_t status;
	int c;

	while ((c = getopt(argc, argv, "s:S:i:")) != -1) {
		if (c == 's')
			seconds = (unsigned)atoi(optarg);
		else if (c == 'S')
			seed = (unsigned)atoi(optarg);
#ifdef STRESS_INPROC
		else if (c == 'i')
			rig_iommu = optarg;
#endif
		else
			return 2;
	}
	alarm(seconds + 90);
	mem = mmap(NULL, (DATA_PAGES + TABLE_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(mem != MAP_FAILED);
#ifdef STRESS_INPROC
	rig_up();
	rig_begin();
#endif
	open_all();
	run();
	close_all();
	printf("%u copies, %u of them by the guest's tables, and %u failures; %u pages given and %u refused; %u changes, %u resets\n",
	       atomic_load(&copies), atomic_load(&nested_copies), atomic_load(&failures), atomic_load(&served),
	       atomic_load(&refused), atomic_load(&changes), atomic_load(&resets) / 2);
	fflush(stdout);
	check(atomic_load(&copies) && atomic_load(&nested_copies) && atomic_load(&failures) && atomic_load(&served) &&
	      atomic_load(&changes));
	open_all(); /* and again, from the beginning */
	for (unsigned page = 0; page < DATA_PAGES; page++)
		give(page);
	check(!attach(0, paging[0]));
	status = copy(0, IOVA, IOVA + PAGE, 100);
	check(!status);
	close_all();
	puts("all was let go");
	return 0;
}
