/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - config space through VFIO, byte by byte, and what the device's own registers say meanwhile.
 *
 * usage: config NAME=ADDRESS...    devices alone in their groups, bound to vfio-pci; see rows.h for what is printed
 *
 * A byte is named by the capability that it is in and its offset there, so that a device compares with one whose
 * capabilities lie elsewhere.  Capabilities are found in the device's own list, which sysfs shows past VFIO.  The row
 * of a byte tells of the silicon (what its register holds, and which bits it takes when written past VFIO), then
 * what the program reads, and what it and the register hold after 0xff and after 0x00 were written through VFIO.
 * standin.c makes a device out of what rows tell of the silicon.
 *
 * Not compared, since it is the device's or the machine's and not VFIO's: next pointers and the offset of the first
 * capability (printed as "link"), addresses in BARs (as "address"), the interrupt line (as "line"), and of edu and nvme,
 * which are built in, the bits of own_silicon (config_space.h).  Bytes that are in no capability are counted: how many of them
 * do not pass through.
 */
#include "tests/conformance/config_space.h"

static bool open_device(const char *arg)
{
	static char text[32];
	char path[128];
	const char *equals = strchr(arg, '=');

	snprintf(text, sizeof(text), "%.*s", (int)(equals - arg), arg);
	name = text;
	snprintf(bdf, sizeof(bdf), "%s", equals + 1);
	x = setup(bdf, VFIO_TYPE1v2_IOMMU, 1);
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	if (ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &info))
		return false;
	cfg = info.offset;
	size = (unsigned)info.size;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	raw_fd = open(path, O_RDWR | O_CLOEXEC);
	walk();
	return raw_fd >= 0;
}

int main(int argc, char **argv)
{
	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	for (int i = 1; i < argc; i++) {
		if (!strchr(argv[i], '=') || !open_device(argv[i])) {
			perror(argv[i]);
			return 1;
		}
		begin(name);
		lists();
		bytes();
		nobodys("bytes of nobody below 0x100", 0, EXT);
		nobodys("bytes of nobody from 0x100 on", EXT, ALL);
		wide();
		edges();
		half_buffers();
		command();
		power();
		messages();
		close(raw_fd);
		teardown(x);
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
