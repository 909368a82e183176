/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq_shapes.c - asks every shape of VFIO_DEVICE_SET_IRQS and prints the answers as a table in C.
 *
 * usage: irq_shapes NAME BDF [NAME BDF]...
 *
 * Run on a real Linux it writes the tables of kernel/vfio/pci/vfio_pci_intrs_cases.h, which tells what the
 * letters mean; a unit test there puts the same questions.  A device is alone in its group and bound to vfio-pci.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INDEXES 5u /* INTx, MSI, MSI-X, ERR, REQ */
#define TRIGGER_EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define TRIGGER_NONE (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)

struct shape { unsigned index, action, type, start, count, val; };

static int device, signalled, other; /* the device; eventfds E and F */

static int device_open(const char *bdf)
{
	char path[128], link[PATH_MAX];
	int container = open("/dev/vfio/vfio", O_RDWR), group;
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -1;
	link[len] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -1;
	return ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
}

static int set_irqs(uint32_t flags, unsigned index, unsigned start, unsigned count, const void *data, size_t len)
{
	struct { struct vfio_irq_set set; char data[16]; } irq = {
		.set = { .argsz = (uint32_t)(sizeof(irq.set) + len), .flags = flags, .index = index, .start = start, .count = count },
	};

	if (len)
		memcpy(irq.set.data, data, len);
	return ioctl(device, VFIO_DEVICE_SET_IRQS, &irq);
}

static bool counted(int efd)
{
	uint64_t n;

	return read(efd, &n, sizeof(n)) == sizeof(n);
}

static int ask(const struct shape *s)
{
	const int fds[3][2] = { { other, other }, { -1, -1 }, { 999, 999 } };
	const uint8_t bools[3][2] = { { 1, 1 }, { 0, 0 }, { 255, 255 } };
	const void *data = s->type == 1 ? (const void *)bools[s->val] : (const void *)fds[s->val];
	const size_t size = s->type == 0 ? 0 : s->type == 1 ? 1 : 4;

	return set_irqs(VFIO_IRQ_SET_DATA_NONE << s->type | VFIO_IRQ_SET_ACTION_MASK << s->action, s->index, s->start, s->count,
			data, size * s->count);
}

static void answer(int enabled, const struct shape *s, char *ret)
{
	unsigned on = 0;
	int err;

	if (enabled >= 0)
		set_irqs(TRIGGER_EVENTFD, (unsigned)enabled, 0, 1, &signalled, sizeof(signalled));
	err = ask(s) ? errno : 0;
	ret[0] = err == 0 ? '0' : err == EINVAL ? 'I' : err == ENOTTY ? 'T' : err == ERANGE ? 'R' : err == EBADF ? 'B' : '?';
	if (counted(signalled))
		ret[0] = ret[0] == '0' ? 'o' : (char)(ret[0] + 'a' - 'A');
	if (counted(other))
		ret[0] = '!';
	for (unsigned index = 0; index < INDEXES; index++)
		on |= (unsigned)!set_irqs(TRIGGER_NONE, index, 0, 0, NULL, 0) << index;
	ret[1] = "0123456789abcdefghijklmnopqrstuv"[on];
	counted(signalled);
	counted(other);
}

static void row(int enabled, struct shape s)
{
	char text[2 * 2 * 3 * 3 + 1] = "", *at = text;
	bool same = true;

	for (s.start = 0; s.start < 2; s.start++)
		for (s.count = 0; s.count < 3; s.count++)
			for (s.val = 0; s.val < (s.type ? 3 : 1); s.val++, at += 2) {
				answer(enabled, &s, at);
				same &= at[0] == text[0] && at[1] == text[1];
			}
	printf("\t{ %d, %u, %u, %u, \"%.*s\" },\n", enabled, s.index, s.action, s.type, same ? 2 : (int)(at - text), text);
}

static bool can_enable(int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = (uint32_t)index };

	return index < 0 || (!ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info) && info.count);
}

int main(int argc, char **argv)
{
	signalled = eventfd(0, EFD_NONBLOCK);
	other = eventfd(0, EFD_NONBLOCK);
	for (int i = 1; i + 1 < argc; i += 2) {
		device = device_open(argv[i + 1]);
		if (device < 0) {
			perror(argv[i + 1]);
			return 1;
		}
		printf("static const struct irq_case %s_irq_cases[] = {\n", argv[i]);
		for (int enabled = -1; enabled < (int)INDEXES; enabled++) {
			if (!can_enable(enabled))
				continue;
			for (unsigned index = 0; index < INDEXES; index++)
				for (unsigned action = 0; action < 3; action++)
					for (unsigned type = 0; type < 3; type++)
						row(enabled, (struct shape){ .index = index, .action = action, .type = type });
		}
		puts("};");
	}
	return 0;
}
