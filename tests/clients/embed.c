/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * embed.c - machines inside a test: <softvfio/machine.h>, in a program that is linked with libsoftvfio.
 *
 * usage: embed PLUGIN, a model in a shared object
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdbool.h>
#include <softvfio/machine.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EDU "0000:01:00.0"
#define IOVA 0x100000u

static const char *plugin;
static char lines[8][1700];
static unsigned nr_lines;

static void on_line(const char *line)
{
	snprintf(lines[nr_lines++ % 8], sizeof(lines[0]), "%s", line);
}

static void reason_has(const char *text)
{
	const char *why = softvfio_reason();

	assert_non_null(why);
	if (!strstr(why, text))
		print_error("reason \"%s\" does not have \"%s\"\n", why, text);
	assert_non_null(strstr(why, text));
}

static void line_has(const char *text)
{
	for (unsigned i = 0; i < 8; i++)
		if (strstr(lines[i], text))
			return;
	for (unsigned i = 0; i < 8; i++)
		print_error("%s\n", lines[i]);
	_fail(__FILE__, __LINE__);
}

static struct softvfio *machine(const char *device)
{
	struct softvfio *m = softvfio_new();

	memset(lines, 0, sizeof(lines));
	assert_non_null(m);
	softvfio_on_line(on_line);
	if (softvfio_add(m, device) || softvfio_start(m, NULL)) {
		print_error("%s\n", softvfio_reason());
		_fail(__FILE__, __LINE__);
	}
	return m;
}

static void done(struct softvfio *m)
{
	if (softvfio_free(m)) {
		print_error("%s\n", softvfio_reason());
		_fail(__FILE__, __LINE__);
	}
}

/* ---- a driver of edu, as short as it gets ---- */

static struct {
	int container, group, device, irq;
	volatile uint32_t *regs;
	uint8_t *mem;
} edu;

static void edu_open(void)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = 0 };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .iova = IOVA, .size = 4096 };
	char buf[sizeof(struct vfio_irq_set) + sizeof(int)];
	struct vfio_irq_set *set = (void *)buf;
	uint16_t command = 6;

	edu.container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	edu.group = open("/dev/vfio/0", O_RDWR | O_CLOEXEC);
	assert_true(edu.container >= 0 && edu.group >= 0);
	assert_int_equal(ioctl(edu.group, VFIO_GROUP_SET_CONTAINER, &edu.container), 0);
	assert_int_equal(ioctl(edu.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	edu.device = ioctl(edu.group, VFIO_GROUP_GET_DEVICE_FD, EDU);
	assert_true(edu.device >= 0);
	assert_int_equal(ioctl(edu.device, VFIO_DEVICE_GET_REGION_INFO, &bar), 0);
	assert_int_equal(ioctl(edu.device, VFIO_DEVICE_GET_REGION_INFO, &config), 0);
	assert_int_equal(pwrite(edu.device, &command, 2, (off_t)config.offset + PCI_COMMAND), 2);
	edu.regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, edu.device, (off_t)bar.offset);
	edu.mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(edu.regs != MAP_FAILED && edu.mem != MAP_FAILED);
	map.vaddr = (uintptr_t)edu.mem;
	assert_int_equal(ioctl(edu.container, VFIO_IOMMU_MAP_DMA, &map), 0);
	edu.irq = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*set = (struct vfio_irq_set){ .argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1 };
	memcpy(set->data, &edu.irq, sizeof(int));
	assert_int_equal(ioctl(edu.device, VFIO_DEVICE_SET_IRQS, set), 0);
}

static void edu_close(void)
{
	munmap((void *)edu.regs, 1 << 20);
	close(edu.device);
	close(edu.group);
	close(edu.container);
	close(edu.irq);
	munmap(edu.mem, 4096);
}

static bool interrupted(void)
{
	uint64_t count;

	return read(edu.irq, &count, sizeof(count)) == sizeof(count);
}

static void transfer(uint64_t iova)
{
	*(volatile uint64_t *)(edu.regs + 0x80 / 4) = iova;
	*(volatile uint64_t *)(edu.regs + 0x88 / 4) = 0x40000;
	*(volatile uint64_t *)(edu.regs + 0x90 / 4) = 64;
	*(volatile uint64_t *)(edu.regs + 0x98 / 4) = 1;
}

/* ---- tests ---- */

static void test_driver(void **state)
{
	struct softvfio *m = machine("edu");
	struct softvfio_stats stats;

	edu_open();
	assert_int_equal(edu.regs[0], 0x010000ed);
	edu.regs[0x60 / 4] = 1;
	assert_true(interrupted());
	transfer(IOVA);
	softvfio_stats_get(m, &stats, sizeof(stats));
	assert_int_equal(stats.dma_read_bytes, 64);
	assert_int_equal(stats.interrupts, 1);
	assert_int_equal(stats.dma_faults, 0);
	assert_true(stats.calls > 5 && stats.bar_accesses > 5);
	edu_close();
	done(m);
}

static void test_reasons(void **state)
{
	struct softvfio *m = machine("edu");
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .iova = IOVA + 1, .size = 4096 };

	edu_open();
	map.vaddr = (uintptr_t)edu.mem;
	assert_int_equal(ioctl(edu.container, VFIO_IOMMU_MAP_DMA, &map), -1);
	assert_int_equal(errno, EINVAL);
	reason_has("0x100001");
	line_has("VFIO_IOMMU_MAP_DMA) = -1 EINVAL: ");
	assert_int_equal(ioctl(edu.container, VFIO_GET_API_VERSION), 0);
	assert_null(softvfio_reason());
	assert_int_equal(open("/dev/vfio/7", O_RDWR), -1);
	assert_int_equal(errno, ENOENT);
	reason_has("/dev/vfio has a node for each");
	edu_close();
	done(m);
}

static void test_faults(void **state)
{
	struct softvfio *m = machine("edu");
	struct softvfio_fault faults[4];

	edu_open();
	assert_int_equal(softvfio_faults_get(m, faults, 4, sizeof(faults[0])), 0);
	transfer(IOVA + 0x5000);
	assert_int_equal(softvfio_faults_get(m, faults, 4, sizeof(faults[0])), 1);
	assert_string_equal(faults[0].device, EDU);
	assert_int_equal(faults[0].iova, IOVA + 0x5000);
	assert_int_equal(faults[0].write, 0);
	assert_non_null(strstr(faults[0].text, "nothing is mapped"));
	line_has("the nearest mapped page is 0x100000, 5 below");
	edu_close();
	done(m);
}

static void test_inject(void **state)
{
	struct softvfio *m = machine("edu");
	struct softvfio_stats stats;

	edu_open();
	assert_int_equal(softvfio_inject(m, EDU, "lose-irq@2+dma-fault"), 0);
	edu.regs[0x60 / 4] = 1;
	assert_true(interrupted());
	edu.regs[0x60 / 4] = 2;
	assert_false(interrupted());
	line_has("injected lose-irq@2 strikes at interrupt 2: vector 0 is lost");
	transfer(IOVA);
	softvfio_stats_get(m, &stats, sizeof(stats));
	assert_int_equal(stats.injected, 2);
	assert_int_equal(stats.dma_faults, 1);
	assert_int_equal(softvfio_inject(m, EDU, "spurious-irq"), 0);
	assert_true(interrupted());
	assert_int_equal(softvfio_inject(m, EDU, "link-down"), 0);
	assert_int_equal(edu.regs[0], ~0u);
	assert_int_equal(softvfio_inject(m, EDU, "link-up"), 0);
	assert_int_equal(softvfio_inject(m, EDU, "flood"), -EINVAL);
	reason_has("there is no fault \"flood\"");
	assert_int_equal(softvfio_inject(m, "0000:09:00.0", "remove"), -ENODEV);
	reason_has("there is no device \"0000:09:00.0\"; there are " EDU);
	edu_close();
	done(m);
}

/* Pulled out while it is open; the machine can be taken down once it is closed. */
static void test_removal(void **state)
{
	struct softvfio *m = machine("edu");

	edu_open();
	assert_int_equal(softvfio_inject(m, EDU, "remove"), 0);
	assert_int_equal(edu.regs[0], ~0u);
	assert_int_equal(softvfio_stop(m), -EBUSY);
	edu_close();
	for (int i = 0; i < 1000 && !access("/sys/bus/pci/devices/" EDU, F_OK); i++)
		usleep(5000);
	assert_int_equal(access("/sys/bus/pci/devices/" EDU, F_OK), -1);
	done(m);
}

static void test_stop(void **state)
{
	struct softvfio *m = machine("edu");
	char dir[4096];
	struct stat st;
	pid_t child;
	int fd;

	snprintf(dir, sizeof(dir), "%s", softvfio_dir(m));
	assert_int_equal(stat(dir, &st), 0);
	fd = open("/dev/vfio/vfio", O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(softvfio_stop(m), -EBUSY);
	reason_has("(/dev/vfio/vfio) is still open");
	assert_int_equal(softvfio_add(m, "edu"), -EBUSY);
	child = fork();
	if (!child)
		for (;;)
			pause();
	close(fd);
	assert_int_equal(softvfio_stop(m), -EBUSY);
	reason_has("a child of this process");
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	edu_open();
	close(edu.container);
	close(edu.group);
	close(edu.device);
	assert_int_equal(softvfio_stop(m), -EBUSY);
	reason_has("still mapped");
	munmap((void *)edu.regs, 1 << 20);
	munmap(edu.mem, 4096);
	close(edu.irq);
	assert_int_equal(softvfio_stop(m), 0);
	assert_int_equal(softvfio_stop(m), 0);
	assert_null(softvfio_dir(m));
	assert_int_equal(stat(dir, &st), -1);
	assert_int_equal(softvfio_inject(m, EDU, "remove"), -ENODEV);
	done(m);
	assert_int_equal(softvfio_free(NULL), 0);
}

/* One after the other, of other kinds, and again. */
static void test_many(void **state)
{
	for (int i = 0; i < 12; i++) {
		struct softvfio *m = softvfio_new();

		assert_int_equal(softvfio_set_iommu(m, i % 2 ? "intel,aw-bits=39" : "amd"), 0);
		assert_int_equal(softvfio_add(m, "edu"), 0);
		assert_int_equal(softvfio_add(m, i % 3 ? "nvme,size=4M" : "edu"), 0);
		assert_int_equal(softvfio_start(m, NULL), 0);
		assert_int_equal(access(i % 2 ? "/sys/class/iommu/dmar0" : "/sys/class/iommu/ivhd0", F_OK), 0);
		edu_open();
		assert_int_equal(edu.regs[0], 0x010000ed);
		edu_close();
		done(m);
	}
}

static void test_plugin(void **state)
{
	struct softvfio *m = machine(plugin);
	char id[16] = "";
	int fd = open("/sys/bus/pci/devices/" EDU "/device", O_RDONLY);

	assert_true(read(fd, id, sizeof(id) - 1) > 0);
	assert_string_equal(id, "0x4352\n");
	close(fd);
	done(m);
}

static void test_refused(void **state)
{
	struct softvfio *m = softvfio_new(), *other = softvfio_new();

	assert_int_equal(softvfio_add(m, "nosuch"), -EINVAL);
	reason_has("no device model \"nosuch\"");
	assert_int_equal(softvfio_set_iommu(m, "sparc"), -EINVAL);
	reason_has("sparc");
	assert_int_equal(softvfio_load(m, "/nonexistent"), -ENOENT);
	reason_has("/nonexistent");
	assert_int_equal(softvfio_inject(m, EDU, "remove"), -ENODEV);
	assert_int_equal(softvfio_start(m, "/proc/nonexistent"), -ENOENT);
	reason_has("/proc/nonexistent is no machine");
	assert_true(softvfio_start(m, "/proc") < 0);
	reason_has("/proc is no machine, and not an empty directory");
	assert_int_equal(softvfio_add(m, "edu,addr=0000:01:00.0"), 0);
	assert_int_equal(softvfio_start(m, NULL), 0);
	assert_int_equal(softvfio_start(other, NULL), -EBUSY);
	reason_has("already");
	done(m);
	done(other);
}

static void test_kept(void **state)
{
	char dir[] = "/tmp/softvfio-embed-XXXXXX", command[64];
	struct softvfio *m = softvfio_new();

	assert_non_null(mkdtemp(dir));
	assert_int_equal(softvfio_add(m, "edu"), 0);
	assert_int_equal(softvfio_start(m, dir), 0);
	done(m);
	m = softvfio_new();
	assert_int_equal(softvfio_add(m, "edu"), 0);
	assert_int_equal(softvfio_start(m, dir), -EEXIST);
	reason_has("holds a machine already");
	done(m);
	m = softvfio_new();
	assert_int_equal(softvfio_start(m, dir), 0);
	edu_open();
	edu_close();
	done(m);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_driver), cmocka_unit_test(test_reasons), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_inject), cmocka_unit_test(test_removal), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_many), cmocka_unit_test(test_plugin), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kept),
	};

	plugin = argc > 1 ? argv[1] : "./crc.so";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
