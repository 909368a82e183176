/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doors.c - libsoftvfio opened at run time: its softvfio_ functions lead to the machine, libc's do not.
 *
 * usage: doors LIBRARY PLUGIN.  As another language would do it: nothing is linked, and the library's names are
 * in nobody's scope.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <softvfio/machine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define must(cond) do { if (!(cond)) { \
	fprintf(stderr, "doors: line %d: %s: %s\n", __LINE__, #cond, strerror(errno)); exit(1); } } while (0)
#define GET(name) __typeof__(&name) my_##name = (__typeof__(&name))dlsym(lib, #name); must(my_##name)

int main(int argc, char **argv)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = 0 };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	unsigned short command = PCI_COMMAND_MEMORY;
	int container, group, device;
	volatile unsigned *regs;
	struct softvfio *m;
	unsigned id = 0;

	must(argc == 3);
	void *lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		fprintf(stderr, "%s\n", dlerror());
	must(lib);
	GET(softvfio_new);
	GET(softvfio_add);
	GET(softvfio_start);
	GET(softvfio_free);
	GET(softvfio_reason);
	GET(softvfio_open);
	GET(softvfio_close);
	GET(softvfio_ioctl);
	GET(softvfio_pread);
	GET(softvfio_pwrite);
	GET(softvfio_mmap);
	GET(softvfio_munmap);

	m = my_softvfio_new();
	must(m && !my_softvfio_add(m, "edu"));
	must(!my_softvfio_add(m, argv[2])); /* its symbols are found all the same */
	if (my_softvfio_start(m, NULL))
		fprintf(stderr, "%s\n", my_softvfio_reason());
	container = my_softvfio_open("/dev/vfio/vfio", O_RDWR);
	group = my_softvfio_open("/dev/vfio/0", O_RDWR);
	must(container >= 0 && group >= 0);
	must(my_softvfio_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
	must(my_softvfio_ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);
	must(my_softvfio_ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == -1 && errno == EINVAL);
	must(my_softvfio_reason());
	device = my_softvfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	must(device >= 0);
	must(my_softvfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) == 0);
	must(my_softvfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) == 0);
	must(my_softvfio_pwrite(device, &command, 2, (off_t)config.offset + PCI_COMMAND) == 2);
	must(my_softvfio_pread(device, &id, 4, (off_t)bar.offset) == 4 && id == 0x010000ed);
	regs = my_softvfio_mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	must(regs != MAP_FAILED);
	must(regs[0] == 0x010000ed);
	regs[1] = 0x12345678;
	must(regs[1] == ~0x12345678u);
	/* libc's own see a plain descriptor. */
	must(ioctl(device, VFIO_DEVICE_RESET) == -1 && errno == ENOTTY);
	must(my_softvfio_munmap((void *)regs, bar.size) == 0);
	must(my_softvfio_close(device) == 0 && my_softvfio_close(group) == 0);
	must(my_softvfio_free(m) == -EBUSY && strstr(my_softvfio_reason(), "/dev/vfio/vfio"));
	must(my_softvfio_close(container) == 0);
	must(my_softvfio_free(m) == 0);
	puts("doors: a machine without any name of libc's");
	return 0;
}
