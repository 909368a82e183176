/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nomem_test.c - each allocation of a whole machine's life fails in turn.
 *
 * The linker puts __wrap_ functions in the place of malloc and its kin.  Three flows: making a machine,
 * attaching to one and using it (container, mappings, BARs, interrupts, DMA by edu and nvme, binding
 * through sysfs), and the same with platform devices.  The n-th allocation fails, for n = 1, 2, ... until the flow needs fewer.
 *
 * A call that fails says ENOMEM with a reason, whatever thread the allocation was for; then the flow
 * stops and takes everything down.  Nothing is left after it: the next flow begins from the start, as
 * many descriptors are open as before, and a leak checker finds nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/edu/regs.h"
#include "hw/pl330/regs.h"
#include "hw/platdev/regs.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/mm/vma.h"
#include "kernel/syscall/syscall.h"
#include "machine/machine.h"
#include "tests/stress/host_nomem.h"

#define EDU "0000:01:00.0"
#define NVME "0000:02:00.0"
#define PLATDEV "platdev.0"
#define PL330 "2d000000.dma"
#define CONFIG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)
#define IOVA 0x100000ull
#define MEM_BYTES (16 * PAGE_SIZE)

/* ---- allocations ---- */

static long nth; /* the one that fails */

/* ---- what a call says ---- */

static const char *what;
static char last_line[1700];

static void sink(const char *line)
{
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static bool went_at(long ret, const char *text)
{
	if (ret >= 0)
		return true;
	what = text;
	/* The bus does not tell why a driver refused a device; the reason does. */
	if (ret == -EINVAL && explain_take() && strstr(explain_take(), "no memory"))
		ret = -ENOMEM;
	if (ret != -ENOMEM || !atomic_load(&failed_one))
		print_error("allocation %ld failed, then %s gives %ld: %s; %s\n", nth, text, ret, last_line, explain_take());
	assert_int_equal(ret, -ENOMEM);
	assert_true(atomic_load(&failed_one));
	assert_null(strstr(last_line, "(no reason recorded)"));
	return false;
}
#define went(x) went_at((x), #x)

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 65536; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- calls ---- */

/* As a front end does it: what could not be bound when the machine was attached is tried again here. */
static int open_node(const char *path, unsigned flags)
{
	struct file *file;
	int ret = machine_attach();

	if (!ret)
		ret = do_open(path, flags, &file);
	if (ret)
		return ret;
	ret = fd_publish(file, true);
	if (ret < 0)
		fput(file);
	return ret;
}

static void close_node(int fd)
{
	struct file *file = fget(fd);

	fd_uninstall(fd);
	close(fd);
	do_close(fd, file);
}

static long call(int fd, unsigned cmd, const void *arg)
{
	struct file *file = fget(fd);
	long ret = do_ioctl(fd, file, cmd, (unsigned long)arg);

	fput(file);
	return ret;
}

static ssize_t transfer(int fd, void *buf, size_t len, u64 pos, bool write)
{
	struct file *file = fget(fd);
	ssize_t ret = write ? do_write(fd, file, buf, len, &pos) : do_read(fd, file, buf, len, &pos);

	fput(file);
	return ret;
}

static ssize_t put64(int fd, u64 pos, u64 val, unsigned len) { return transfer(fd, &val, len, pos, true); }

/* ---- flow: a machine in use ---- */

static u8 *mem, *bars;

static void use_interrupts(int d, unsigned index)
{
	struct { struct vfio_irq_set set; int fd; } irq = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq), .index = index, .count = 1,
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD };
	if (went(call(d, VFIO_DEVICE_SET_IRQS, &irq))) {
		irq.set.flags = VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_EVENTFD;
		if (!index)
			went(call(d, VFIO_DEVICE_SET_IRQS, &irq));
		irq.set.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE;
		irq.set.count = 0;
		assert_int_equal(call(d, VFIO_DEVICE_SET_IRQS, &irq), 0); /* destroying never fails */
	}
	close(irq.fd);
}

static void use_bar(int d)
{
	struct file *file = fget(d);
	struct vm_area *vma;
	int ret = do_mmap(d, file, (uintptr_t)bars, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &vma);
	u32 val;

	fput(file);
	if (!went(ret))
		return;
	vma_insert(mm_self(), vma);
	assert_int_equal(mmio_access((uintptr_t)bars, &val, 4, false), 0);
	assert_int_equal(vma_remove(mm_self(), (uintptr_t)bars, PAGE_SIZE), 0);
}

static void use_edu(int d)
{
	for (unsigned i = 0; i < 64; i++)
		mem[i] = (u8)(i + 1);
	memset(mem + PAGE_SIZE, 0, 64);
	put64(d, EDU_DMA_COUNT, 64, 8);
	put64(d, EDU_DMA_SRC, IOVA, 8);
	put64(d, EDU_DMA_DST, EDU_BUF, 8);
	put64(d, EDU_DMA_CMD, 1, 8);
	put64(d, EDU_DMA_SRC, EDU_BUF, 8);
	put64(d, EDU_DMA_DST, IOVA + PAGE_SIZE, 8);
	put64(d, EDU_DMA_CMD, 3, 8);
	assert_memory_equal(mem, mem + PAGE_SIZE, 64);
	use_interrupts(d, VFIO_PCI_INTX_IRQ_INDEX);
	use_interrupts(d, VFIO_PCI_MSI_IRQ_INDEX);
}

/* A controller that lacks memory says so with CSTS.CFS, or does without. */
static void use_nvme(int d)
{
	u32 csts = 0;

	memset(mem, 0, MEM_BYTES);
	put64(d, 0x24, 15 << 16 | 15, 4);
	put64(d, 0x28, IOVA, 8);
	put64(d, 0x30, IOVA + PAGE_SIZE, 8);
	put64(d, 0x14, 1 | 6 << 16 | 4 << 20, 4);
	for (unsigned i = 0; i < 5000 && !(csts & 3); i++) {
		assert_int_equal(transfer(d, &csts, 4, 0x1c, false), 4);
		usleep(10);
	}
	assert_true(csts & 3);
	if (csts == 1) {
		mem[0] = 0x06;
		memcpy(mem + 24, &(u64){ IOVA + 2 * PAGE_SIZE }, 8);
		mem[40] = 1;
		put64(d, 0x1000, 1, 4);
		for (unsigned i = 0; i < 5000 && !(csts & 2) && !__atomic_load_n((u16 *)(mem + PAGE_SIZE + 14), __ATOMIC_ACQUIRE); i++) {
			assert_int_equal(transfer(d, &csts, 4, 0x1c, false), 4);
			usleep(10);
		}
		assert_true((csts & 2) || *(u16 *)(mem + PAGE_SIZE + 14));
	}
	went(call(d, VFIO_DEVICE_RESET, NULL));
	use_interrupts(d, VFIO_PCI_MSIX_IRQ_INDEX);
}

static void use_group(int c, const char *path, const char *name, bool nvme)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)mem, .iova = IOVA,
						.size = MEM_BYTES };
	char info[512] = { 0 };
	u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	int g = open_node(path, O_RDWR), d;

	if (!went(g))
		return;
	*(u32 *)info = sizeof(info);
	if (!went(call(g, VFIO_GROUP_SET_CONTAINER, &c)) ||
	    !went(call(c, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU)))
		goto close_group;
	went(call(c, VFIO_IOMMU_GET_INFO, info));
	if (!went(call(c, VFIO_IOMMU_MAP_DMA, &map)))
		goto close_group;
	d = (int)call(g, VFIO_GROUP_GET_DEVICE_FD, name);
	if (!went(d))
		goto close_group;
	if (went(transfer(d, &command, 2, CONFIG + PCI_COMMAND, true))) {
		use_bar(d);
		if (nvme)
			use_nvme(d);
		else
			use_edu(d);
	}
	close_node(d);
close_group:
	close_node(g);
}

/* A bind that fails leaves the device without a driver; the next one brings it back. */
static void rebind(void)
{
	static const char *const paths[] = { "/sys/bus/pci/drivers/vfio-pci/unbind", "/sys/bus/pci/drivers/vfio-pci/bind" };

	for (unsigned i = 0; i < 2; i++) {
		int fd = open_node(paths[i], O_WRONLY);
		bool ok;

		if (i && fd < 0) { /* it must not stay unbound for the next round */
			atomic_store(&countdown, 0);
			fd = open_node(paths[i], O_WRONLY);
		}
		if (!went(fd))
			return;
		ok = went(transfer(fd, (char[]){ EDU }, strlen(EDU), 0, true));
		if (i && !ok) {
			atomic_store(&countdown, 0);
			assert_int_equal(transfer(fd, (char[]){ EDU }, strlen(EDU), 0, true), strlen(EDU));
		}
		close_node(fd);
		if (!ok)
			return;
	}
}

/* ---- flow: platform devices in use ---- */

static void use_wires(int d)
{
	struct { struct vfio_irq_set set; int fd; } irq = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	for (unsigned i = 0; i < 2; i++) {
		irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq), .index = i, .count = 1,
			.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD };
		went(call(d, VFIO_DEVICE_SET_IRQS, &irq));
	}
	irq.set.flags = VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_EVENTFD; /* of the level */
	went(call(d, VFIO_DEVICE_SET_IRQS, &irq));
	close(irq.fd);
}

static void use_platdev(int d)
{
	u32 status = 0;

	memset(mem, 0x5a, 64);
	memset(mem + PAGE_SIZE, 0, 64);
	put64(d, PLATDEV_DMA_SRC, IOVA, 8);
	put64(d, PLATDEV_DMA_DST, IOVA + PAGE_SIZE, 8);
	put64(d, PLATDEV_DMA_LEN, 64, 4);
	put64(d, PLATDEV_DMA_CMD, PLATDEV_CMD_COPY, 4);
	assert_int_equal(transfer(d, &status, 4, PLATDEV_DMA_STATUS, false), 4);
	assert_int_equal(status, PLATDEV_DMA_DONE);
	assert_memory_equal(mem, mem + PAGE_SIZE, 64);
	assert_int_equal(call(d, VFIO_DEVICE_RESET, NULL), 0); /* needs no memory */
	use_wires(d);
	use_bar(d);
}

/* The channel needs a thread; without memory for it the manager has a fault. */
static void use_pl330(int d)
{
	u32 fault = 0, state = PL330_EXECUTING;

	mem[0] = PL330_DMAEND;
	put64(d, PL330_DBGINST0, PL330_DMAGO << 16, 4);
	put64(d, PL330_DBGINST1, IOVA, 4);
	put64(d, PL330_DBGCMD, 0, 4);
	assert_int_equal(transfer(d, &fault, 4, PL330_FTRD, false), 4);
	assert_true(!fault || (fault == (PL330_FAULT_DMAGO | PL330_FAULT_DBG) && atomic_load(&failed_one)));
	for (unsigned i = 0; i < 5000 && state != PL330_STOPPED; i++) {
		assert_int_equal(transfer(d, &state, 4, PL330_CSR(0), false), 4);
		usleep(10);
	}
	assert_int_equal(state, PL330_STOPPED);
}

static void use_platform_group(int c, const char *path, const char *name, void (*use)(int d))
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)mem, .iova = IOVA,
						.size = MEM_BYTES };
	int g = open_node(path, O_RDWR), d;

	if (!went(g))
		return;
	if (went(call(g, VFIO_GROUP_SET_CONTAINER, &c)) &&
	    went(call(c, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU)) && went(call(c, VFIO_IOMMU_MAP_DMA, &map))) {
		d = (int)call(g, VFIO_GROUP_GET_DEVICE_FD, name);
		if (went(d)) {
			use(d);
			close_node(d);
		}
	}
	close_node(g);
}

static void platform_in_use(const char *dir)
{
	int c;

	explain_begin();
	if (!went(machine_attach_lazy(dir)))
		return;
	if (went(machine_attach())) {
		c = open_node("/dev/vfio/vfio", O_RDWR);
		if (went(c)) {
			use_platform_group(c, "/dev/vfio/0", PLATDEV, use_platdev);
			use_platform_group(c, "/dev/vfio/1", PL330, use_pl330);
			close_node(c);
		}
	}
	machine_detach();
}

static void in_use(const char *dir)
{
	int c;

	explain_begin();
	if (!went(machine_attach_lazy(dir)))
		return;
	if (went(machine_attach())) {
		c = open_node("/dev/vfio/vfio", O_RDWR);
		if (went(c)) {
			use_group(c, "/dev/vfio/0", EDU, false);
			use_group(c, "/dev/vfio/1", NVME, true);
			close_node(c);
		}
		if (!atomic_load(&failed_one))
			rebind();
	}
	machine_detach();
}

/* ---- flow: making one ---- */

static bool make(const char *dir, const char *first, const char *second)
{
	struct machine_config *cfg = machine_config_new();
	bool ok;

	if (!cfg)
		return false;
	explain_begin();
	ok = went(machine_config_add(cfg, first)) && went(machine_config_add(cfg, second)) &&
	     went(machine_create(dir, cfg));
	machine_config_free(cfg);
	return ok;
}

static char dir[] = "/tmp/softvfio-nomem-XXXXXX";

static void new_dir(void)
{
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static long sweep(void (*flow)(void), long step)
{
	unsigned fds = open_descriptors();
	long n = 0;

	do {
		nth = n += step;
		atomic_store(&failed_one, false);
		last_line[0] = '\0';
		atomic_store(&countdown, n);
		flow();
		atomic_store(&countdown, 0);
		if (open_descriptors() != fds)
			print_error("allocation %ld failed (%s): %u descriptors instead of %u\n", n, what ? what : "silently",
				    open_descriptors(), fds);
		assert_int_equal(open_descriptors(), fds);
	} while (atomic_load(&failed_one));
	return n;
}

static void make_once(void)
{
	new_dir();
	make(dir, "edu", "nvme,size=1M");
	atomic_store(&countdown, 0);
	machine_destroy(dir);
}

static void make_platform_once(void)
{
	new_dir();
	make(dir, "platdev", "pl330");
	atomic_store(&countdown, 0);
	machine_destroy(dir);
}

static void each_allocation_of_making(void **state)
{
	make_once(); /* what is made once in a process */
	print_message("making: about %ld allocations\n", sweep(make_once, 7));
	make_platform_once();
	print_message("making platform devices: about %ld allocations\n", sweep(make_platform_once, 7));
}

/* A failed attempt to attach changes nothing on disk. */
static void check_kept(const char *const *kept, unsigned count)
{
	char path[128];

	for (unsigned i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, kept[i]);
		if (access(path, F_OK))
			print_error("allocation %ld failed (%s), and %s is gone\n", nth, what ? what : "silently", kept[i]);
		assert_int_equal(access(path, F_OK), 0);
	}
}

static void use_once(void)
{
	static const char *const kept[] = { "dev/vfio/0", "dev/vfio/1", "sys/bus/pci/devices/" EDU "/driver",
		"sys/bus/pci/devices/" NVME "/driver", ("sys/bus/pci/drivers/vfio-pci/" EDU) };

	in_use(dir);
	check_kept(kept, ARRAY_SIZE(kept));
}

static void use_platform_once(void)
{
	static const char *const kept[] = { "dev/vfio/0", "dev/vfio/1", "sys/bus/platform/devices/" PLATDEV "/driver",
		"sys/bus/amba/devices/" PL330 "/driver", ("sys/bus/platform/drivers/vfio-platform/" PLATDEV) };

	platform_in_use(dir);
	check_kept(kept, ARRAY_SIZE(kept));
}

static void each_allocation_of_use(void **state)
{
	guard_install();
	new_dir();
	assert_true(make(dir, "edu", "nvme,size=1M"));
	in_use(dir);
	print_message("in use: %ld allocations\n", sweep(use_once, 1));
	in_use(dir);
	machine_destroy(dir);
}

static void each_allocation_of_platform_use(void **state)
{
	guard_install();
	new_dir();
	assert_true(make(dir, "platdev", "pl330"));
	platform_in_use(dir);
	print_message("platform devices in use: %ld allocations\n", sweep(use_platform_once, 1));
	platform_in_use(dir);
	machine_destroy(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_of_making),
		cmocka_unit_test(each_allocation_of_use),
		cmocka_unit_test(each_allocation_of_platform_use),
	};

	explain_enable();
	explain_set_sink(sink);
	mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bars = mmap(NULL, 4 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED || bars == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
