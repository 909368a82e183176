/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irqs.c - interrupts of a PCI device: what is told of them, every shape of SET_IRQS, and what arrives.
 *
 * usage: irqs NAME=ADDRESS...    the devices of config.c; see rows.h for what is printed
 *
 * Rows of "shapes" have a row of answers for one state of the device, index, action and data type: for start 0, 1 and 2,
 * in each count 0, 1 and 2, and in each, unless there is no data, another eventfd (true), none (false), one that is closed (255).
 * An answer is the errno (. none, I EINVAL, T ENOTTY, R ERANGE, B EBADF), then E or F if the eventfd of before or the other one
 * was signalled, then which indexes were in use afterwards: a sum of 1 INTx, 2 MSI, 4 MSI-X, 8 ERR, 16 REQ, to base 32.
 * A row that is one answer long stands for all.
 *
 * Not asked, since QEMU's machine answers and not VFIO: INTx that is enabled while the pin is high (its I/O APIC loses a level
 * from before an entry was set up), how often an eventfd was signalled by interrupts in a row (messages meet on their way), and
 * whether edu's pin is high while MSI is enabled.
 */
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "tests/conformance/calls.h"

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR VFIO_PCI_ERR_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIG VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK

#define WHAT(...) ({ static char what_[160]; snprintf(what_, sizeof(what_), __VA_ARGS__); what_; })

static char name[32], bdf[32];
static struct ctx x;
static int d, efd, other;
static unsigned counts[8];

static const char *const index_names[] = { "INTx", "MSI", "MSI-X", "ERR", "REQ", "index 5", "index 6" };

static int set(uint32_t flags, unsigned index, unsigned start, unsigned num, const void *data, size_t len)
{
	static union { struct vfio_irq_set set; uint8_t bytes[8192 + 32]; } s;

	s.set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(s.set) + len), .flags = flags, .index = index, .start = start, .count = num };
	if (len)
		memcpy(s.set.data, data, len);
	return ioctl(d, VFIO_DEVICE_SET_IRQS, &s);
}

static int enable(unsigned index, unsigned start, unsigned num, int fd)
{
	int fds[2048];

	for (unsigned i = 0; i < num; i++)
		fds[i] = fd;
	return set(EVFD | TRIG, index, start, num, fds, 4 * num);
}

static int disable(unsigned index) { return set(NONE | TRIG, index, 0, 0, NULL, 0); }

static void disable_all(void)
{
	for (unsigned index = 0; index < 5; index++)
		disable(index);
}

/* How often @fd was signalled; waits a moment for what is on its way if @wait. */
static unsigned long long drain(int fd, bool wait)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (wait)
		poll(&p, 1, 250);
	return read(fd, &n, 8) == 8 ? n : 0;
}

/* ---- info -------------------------------------------------------------------------------------- */

static void infos(void)
{
	struct vfio_irq_info info;

	for (unsigned index = 0; index < 8; index++) {
		memset(&info, 0xa5, sizeof(info));
		info.argsz = sizeof(info);
		info.index = index < 7 ? index : ~0u;
		T(WHAT("info of index %d", info.index), ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &info));
		note("argsz %u flags %#x count %u", info.argsz, info.flags, info.count);
		counts[index] = info.count == 0xa5a5a5a5 ? 0 : info.count;
	}
	for (unsigned argsz = 0; argsz <= 20; argsz += 4) {
		info = (struct vfio_irq_info){ .argsz = argsz, .index = INTX };
		T(WHAT("info, argsz %u", argsz), ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &info));
		note("argsz %u count %u", info.argsz, info.count);
	}
	T("info, bad pointer", ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, BAD));
}

/* ---- shapes ------------------------------------------------------------------------------------ */

struct shape { unsigned index, action, type, start, count, val; };

static int ask_shape(const struct shape *s)
{
	const int fds[3][2] = { { other, other }, { -1, -1 }, { 999, 999 } };
	const uint8_t bools[3][2] = { { 1, 1 }, { 0, 0 }, { 255, 255 } };
	const void *data = s->type == 1 ? (const void *)bools[s->val] : (const void *)fds[s->val];
	const size_t size = s->type == 0 ? 0 : s->type == 1 ? 1 : 4;

	return set(NONE << s->type | MASK << s->action, s->index, s->start, s->count, data, size * s->count);
}

static void answer(int enabled, const struct shape *s, char *ret)
{
	unsigned on = 0;
	int err, n = 0;

	if (enabled >= 0)
		enable((unsigned)enabled, 0, 1, efd);
	err = ask_shape(s) ? errno : 0;
	ret[n++] = err == 0 ? '.' : err == EINVAL ? 'I' : err == ENOTTY ? 'T' : err == ERANGE ? 'R' : err == EBADF ? 'B' : '?';
	if (drain(efd, false))
		ret[n++] = 'E';
	if (drain(other, false))
		ret[n++] = 'F';
	for (unsigned index = 0; index < 5; index++)
		on |= (unsigned)!disable(index) << index;
	ret[n++] = "0123456789abcdefghijklmnopqrstuv"[on];
	ret[n] = 0;
	drain(efd, false);
	drain(other, false);
}

static void shape_row(int enabled, struct shape s)
{
	static const char *const actions[] = { "mask", "unmask", "trigger" }, *const types[] = { "nothing", "bools", "eventfds" };
	char text[512] = "", one[8], first[8] = "";
	bool same = true;

	for (s.start = 0; s.start < 3; s.start++)
		for (s.count = 0; s.count < 3; s.count++)
			for (s.val = 0; s.val < (s.type ? 3 : 1); s.val++) {
				answer(enabled, &s, one);
				if (!*first)
					strcpy(first, one);
				same &= !strcmp(first, one);
				strcat(strcat(text, " "), one);
			}
	row(WHAT("shapes: %s in use; %s, %s with %s", enabled < 0 ? "nothing" : index_names[enabled], index_names[s.index],
		 actions[s.action], types[s.type]), 0, 0);
	note("%s", same ? first : text + 1);
}

static void shapes(void)
{
	for (int enabled = -1; enabled < 5; enabled++) {
		if (enabled >= 0 && !counts[enabled])
			continue;
		for (unsigned index = 0; index < 6; index++)
			for (unsigned action = 0; action < 3; action++)
				for (unsigned type = 0; type < 3; type++)
					shape_row(enabled, (struct shape){ .index = index, .action = action, .type = type });
	}
}

/* ---- the header of SET_IRQS --------------------------------------------------------------------- */

static void headers(void)
{
	static const unsigned places[][2] = {
		{ 0, 1 }, { 0, 2 }, { 0, 3 }, { 1, 1 }, { 1, 0 }, { 2, 1 }, { 64, 1 }, { 2047, 1 }, { 2048, 1 }, { 0, 2048 }, { 0, 2049 }, { ~0u, 1 },
		{ 1, ~0u }, { ~0u, ~0u }, { 0, ~0u }, { 0x7fffffff, 1 }, { 0x80000000, 0x80000000 },
	};
	union { struct vfio_irq_set set; uint8_t bytes[64]; } s;
	const unsigned index = counts[MSIX] ? MSIX : counts[MSI] ? MSI : INTX;
	uint8_t *pages = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = pages + PG;

	for (unsigned flags = 0; flags < 64 + 26; flags++) {
		const uint32_t f = flags < 64 ? flags : 1u << (flags - 58) | EVFD | TRIG;

		T(WHAT("flags %#x", f), set(f, index, 0, 1, &efd, 4));
		T(WHAT("flags %#x, count 0", f), set(f, index, 0, 0, NULL, 0));
		disable_all();
	}
	for (unsigned argsz = 0; argsz <= 32; argsz++) {
		memset(&s, 0, sizeof(s));
		s.set = (struct vfio_irq_set){ .argsz = argsz, .flags = EVFD | TRIG, .index = index, .count = 1 };
		memcpy(s.set.data, &efd, 4);
		T(WHAT("argsz %u with an eventfd", argsz), ioctl(d, VFIO_DEVICE_SET_IRQS, &s));
		s.set.flags = NONE | TRIG;
		T(WHAT("argsz %u without data", argsz), ioctl(d, VFIO_DEVICE_SET_IRQS, &s));
		disable_all();
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		T(WHAT("start %d count %d, no data", places[i][0], places[i][1]), set(NONE | TRIG, index, places[i][0], places[i][1], NULL, 0));
		T(WHAT("start %d count %d, bools", places[i][0], places[i][1]), set(BOOL | TRIG, index, places[i][0], places[i][1], s.bytes, 8));
		T(WHAT("start %d count %d, eventfds", places[i][0], places[i][1]), set(EVFD | TRIG, index, places[i][0], places[i][1], s.bytes, 16));
		disable_all();
	}
	munmap(end, PG);
	memcpy(end - 20, &(struct vfio_irq_set){ .argsz = 24, .flags = EVFD | TRIG, .index = index, .count = 1 }, 20);
	T("eventfd beyond what is mapped", ioctl(d, VFIO_DEVICE_SET_IRQS, end - 20));
	T("half a header", ioctl(d, VFIO_DEVICE_SET_IRQS, end - 10));
	T("bad pointer", ioctl(d, VFIO_DEVICE_SET_IRQS, BAD));
	munmap(pages, PG);
}

/* ---- eventfds of many vectors --------------------------------------------------------------------- */

static uint16_t control(unsigned id)
{
	uint16_t head = 0;
	uint8_t at = 0;

	pread(d, &at, 1, (7ull << 40) + PCI_CAPABILITY_LIST);
	for (unsigned n = 0; at && n < 48; n++, at = head >> 8) {
		pread(d, &head, 2, (7ull << 40) + at);
		if ((head & 0xff) == id) {
			pread(d, &head, 2, (7ull << 40) + at + 2);
			return head;
		}
	}
	return 0;
}

/* The command register past VFIO. */
static unsigned real_command(void)
{
	char path[96];
	uint16_t val = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_RDONLY);
	pread(fd, &val, 2, PCI_COMMAND);
	close(fd);
	return val;
}

static void note_state(unsigned index)
{
	note("E %llu F %llu; control %04x, command %04x", drain(efd, false), drain(other, false),
	     index == INTX ? 0 : control(index == MSI ? PCI_CAP_ID_MSI : PCI_CAP_ID_MSIX), real_command() & 0x400);
}

#define S(what, ...) ({ long r__ = T(WHAT("%s: " what, index_names[index]), __VA_ARGS__); note_state(index); r__; })

/* MSI or MSI-X with @n vectors. */
static void vectors(unsigned index)
{
	const unsigned n = counts[index];
	static uint8_t bools[2048];
	static int fds[2049];
	int copy;

	if (!n)
		return;
	disable_all();
	S("enable vector 0", enable(index, 0, 1, efd));
	S("trigger it", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("trigger no vector, no data", set(BOOL | TRIG, index, 0, 0, NULL, 0));
	S("give vector 0 the other eventfd", enable(index, 0, 1, other));
	S("trigger it again", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("take the eventfd away", enable(index, 0, 1, -1));
	S("trigger it without", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("give it back", enable(index, 0, 1, efd));
	S("trigger it then", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("disable", disable(index));
	S("disable again", disable(index));
	S("trigger it, disabled", set(NONE | TRIG, index, 0, 1, NULL, 0));
	for (unsigned i = 0; i < n; i++)
		fds[i] = i % 2 ? other : efd;
	S("enable all vectors, two eventfds in turn", set(EVFD | TRIG, index, 0, n, fds, 4 * n));
	S("trigger all", set(NONE | TRIG, index, 0, n, NULL, 0));
	memset(bools, 1, sizeof(bools));
	S("trigger all by bools", set(BOOL | TRIG, index, 0, n, bools, n));
	memset(bools, 0, sizeof(bools));
	S("trigger none by bools", set(BOOL | TRIG, index, 0, n, bools, n));
	for (unsigned i = 0; i < n; i += 3)
		bools[i] = (uint8_t)(i + 1);
	S("trigger every third by bools of any value", set(BOOL | TRIG, index, 0, n, bools, n));
	S("trigger the last", set(NONE | TRIG, index, n - 1, 1, NULL, 0));
	S("trigger one beyond the last", set(NONE | TRIG, index, n, 1, NULL, 0));
	S("trigger one more than all", set(NONE | TRIG, index, 0, n + 1, NULL, 0));
	for (unsigned i = 0; i < n; i++)
		fds[i] = -1;
	S("take all eventfds away", set(EVFD | TRIG, index, 0, n, fds, 4 * n));
	S("trigger all without", set(NONE | TRIG, index, 0, n, NULL, 0));
	S("give all one eventfd", enable(index, 0, n, efd));
	S("trigger all of one eventfd", set(NONE | TRIG, index, 0, n, NULL, 0));
	S("eventfds with count 0", set(EVFD | TRIG, index, 0, 0, NULL, 0));
	S("mask vector 0", set(NONE | MASK, index, 0, 1, NULL, 0));
	S("unmask vector 0", set(NONE | UNMASK, index, 0, 1, NULL, 0));
	S("mask with count 0", set(NONE | MASK, index, 0, 0, NULL, 0));
	S("disable with a start", set(NONE | TRIG, index, n > 1 ? 1 : 0, 0, NULL, 0));
	S("disable all", disable(index));
	S("an array with a closed descriptor in the middle", ({ for (unsigned i = 0; i < n; i++) fds[i] = i == n / 2 ? 999 : efd;
		set(EVFD | TRIG, index, 0, n, fds, 4 * n); }));
	S("trigger all after that", set(NONE | TRIG, index, 0, n, NULL, 0));
	S("disable after that", disable(index));
	S("one vector first", enable(index, 0, 1, efd));
	S("all then", enable(index, 0, n, other));
	S("trigger all that are there", set(NONE | TRIG, index, 0, n, NULL, 0));
	S("disable, before it begins with the last", disable(index));
	S("the last vector first", enable(index, n - 1, 1, efd));
	S("trigger the last vector", set(NONE | TRIG, index, n - 1, 1, NULL, 0));
	S("trigger all, most are not there", set(NONE | TRIG, index, 0, n, NULL, 0));
	S("vector 0 then", enable(index, 0, 1, other));
	S("trigger both", set(NONE | TRIG, index, 0, n, NULL, 0));
	S("an array with a closed descriptor at its end, while two are there", ({ for (unsigned i = 0; i < n; i++) fds[i] = i == n - 1 ? 999 : other;
		set(EVFD | TRIG, index, 0, n, fds, 4 * n); }));
	S("trigger what is left", set(NONE | TRIG, index, 0, n, NULL, 0));
	S("INTx meanwhile", enable(INTX, 0, 1, other));
	S("disable INTx meanwhile", disable(INTX));
	S("the other kind meanwhile", enable(index == MSI ? MSIX : MSI, 0, 1, other));
	S("disable the other kind meanwhile", disable(index == MSI ? MSIX : MSI));
	S("disable at the end", disable(index));
	copy = dup(efd);
	S("enable with a copy of the eventfd", enable(index, 0, 1, copy));
	close(copy);
	S("trigger after it was closed", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("reset while enabled", ioctl(d, VFIO_DEVICE_RESET) && errno != EINVAL ? -1 : 0);
	S("trigger after the reset", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("disable after the reset", disable(index));
	if (n < 3)
		return;
	for (unsigned num = 1; num <= n && num <= 9; num++) {
		S("enable some", enable(index, 0, num, efd));
		S("trigger them", set(NONE | TRIG, index, 0, num, NULL, 0));
		S("one behind them", enable(index, num < n ? num : 0, 1, other));
		S("trigger that", set(NONE | TRIG, index, num < n ? num : 0, 1, NULL, 0));
		S("disable them", disable(index));
	}
}

/* ---- ERR and REQ ------------------------------------------------------------------------------------ */

static void single(unsigned index)
{
	uint8_t one = 1, zero = 0;

	S("trigger, none set", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("set", enable(index, 0, 1, efd));
	S("trigger", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("trigger by bool 1", set(BOOL | TRIG, index, 0, 1, &one, 1));
	S("trigger by bool 0", set(BOOL | TRIG, index, 0, 1, &zero, 1));
	S("replace", enable(index, 0, 1, other));
	S("trigger the other", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("a closed descriptor", enable(index, 0, 1, 999));
	S("trigger after that", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("no descriptor", enable(index, 0, 1, -1));
	S("trigger without", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("no descriptor again", enable(index, 0, 1, -1));
	S("set again", enable(index, 0, 1, efd));
	S("two", enable(index, 0, 2, efd));
	S("take away by count 0", disable(index));
	S("take away again", disable(index));
	S("mask", set(NONE | MASK, index, 0, 1, NULL, 0));
	S("unmask", set(NONE | UNMASK, index, 0, 1, NULL, 0));
}

/* ---- the pin: INTx without a level ------------------------------------------------------------------- */

static void pin(void)
{
	const unsigned index = INTX;
	uint8_t one = 1, zero = 0;
	int fd = eventfd(0, EFD_NONBLOCK);
	const uint64_t once = 1;

	drain(efd, false);
	drain(other, false);
	if (!counts[INTX])
		return;
	S("enable", enable(INTX, 0, 1, efd));
	S("trigger", set(NONE | TRIG, INTX, 0, 1, NULL, 0));
	S("trigger by bool 1", set(BOOL | TRIG, INTX, 0, 1, &one, 1));
	S("trigger by bool 0", set(BOOL | TRIG, INTX, 0, 1, &zero, 1));
	S("mask", set(NONE | MASK, INTX, 0, 1, NULL, 0));
	S("trigger while masked", set(NONE | TRIG, INTX, 0, 1, NULL, 0));
	S("mask again", set(NONE | MASK, INTX, 0, 1, NULL, 0));
	S("unmask by bool 0", set(BOOL | UNMASK, INTX, 0, 1, &zero, 1));
	S("unmask by bool 1", set(BOOL | UNMASK, INTX, 0, 1, &one, 1));
	S("mask by bool 1", set(BOOL | MASK, INTX, 0, 1, &one, 1));
	S("unmask", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	S("unmask when not masked", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	S("unmask by eventfd", set(EVFD | UNMASK, INTX, 0, 1, &fd, 4));
	S("unmask by another eventfd too", set(EVFD | UNMASK, INTX, 0, 1, &other, 4));
	S("mask, then signal the eventfd", set(NONE | MASK, INTX, 0, 1, NULL, 0));
	write(fd, &once, 8);
	for (unsigned i = 0; i < 100 && real_command() & PCI_COMMAND_INTX_DISABLE; i++)
		usleep(10000);
	S("trigger after that", set(NONE | TRIG, INTX, 0, 1, NULL, 0));
	S("unmask by no eventfd", set(EVFD | UNMASK, INTX, 0, 1, (int[]){ -1 }, 4));
	S("unmask by the eventfd again", set(EVFD | UNMASK, INTX, 0, 1, &fd, 4));
	S("mask by eventfd", set(EVFD | MASK, INTX, 0, 1, &fd, 4));
	S("replace the eventfd", enable(INTX, 0, 1, other));
	S("trigger the other", set(NONE | TRIG, INTX, 0, 1, NULL, 0));
	S("no eventfd", enable(INTX, 0, 1, -1));
	S("trigger without", set(NONE | TRIG, INTX, 0, 1, NULL, 0));
	S("mask without", set(NONE | MASK, INTX, 0, 1, NULL, 0));
	S("unmask without", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	S("an eventfd again", enable(INTX, 0, 1, efd));
	S("a closed descriptor", enable(INTX, 0, 1, 999));
	S("trigger after that, is it enabled?", set(NONE | TRIG, INTX, 0, 1, NULL, 0));
	S("MSI meanwhile", enable(MSI, 0, 1, other));
	S("MSI-X meanwhile", enable(MSIX, 0, 1, other));
	S("disable MSI meanwhile", disable(MSI));
	S("disable MSI-X meanwhile", disable(MSIX));
	S("disable", disable(INTX));
	S("enable while the command register disables it", ({ uint16_t v = 0x403; pwrite(d, &v, 2, (7ull << 40) + 4); enable(INTX, 0, 1, efd); }));
	S("trigger then", set(NONE | TRIG, INTX, 0, 1, NULL, 0));
	S("unmask then", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	S("the command register enables it", ({ uint16_t v = 3; pwrite(d, &v, 2, (7ull << 40) + 4); }) == 2 ? 0 : -1);
	S("disable at the end", disable(INTX));
	close(fd);
}

/* ---- asleep ------------------------------------------------------------------------------------------ */

static long put_power(uint16_t val)
{
	uint16_t head = 0;
	uint8_t at = 0;

	pread(d, &at, 1, (7ull << 40) + PCI_CAPABILITY_LIST);
	for (unsigned n = 0; at && n < 48; n++, at = head >> 8) {
		pread(d, &head, 2, (7ull << 40) + at);
		if ((head & 0xff) == PCI_CAP_ID_PM)
			return pwrite(d, &val, 2, (7ull << 40) + at + PCI_PM_CTRL);
	}
	return 0;
}

static void asleep(unsigned index)
{
	if (!counts[index] || !put_power(0))
		return;
	put_power(3);
	S("enable in D3hot", enable(index, 0, 1, efd));
	S("trigger in D3hot", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("disable in D3hot", disable(index));
	put_power(0);
	S("enable in D0", enable(index, 0, 1, efd));
	put_power(3);
	S("trigger, since in D3hot", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("another eventfd, since in D3hot", enable(index, 0, 1, other));
	S("trigger that", set(NONE | TRIG, index, 0, 1, NULL, 0));
	S("the last vector, since in D3hot", enable(index, counts[index] - 1, 1, efd));
	S("trigger the last", set(NONE | TRIG, index, counts[index] - 1, 1, NULL, 0));
	S("mask in D3hot", set(NONE | MASK, index, 0, 1, NULL, 0));
	S("unmask in D3hot", set(NONE | UNMASK, index, 0, 1, NULL, 0));
	S("awake again", put_power(0) == 2 ? 0 : -1);
	S("trigger all", set(NONE | TRIG, index, 0, counts[index], NULL, 0));
	put_power(3);
	S("disable, enabled in D0", disable(index));
	S("enable again in D3hot", enable(index, 0, 1, efd));
	put_power(0);
	S("enable again in D0", enable(index, 0, 1, efd));
	S("disable at last", disable(index));
}

/* ---- edu raises it ------------------------------------------------------------------------------------ */

enum { EDU_STATUS = 0x24, EDU_RAISE = 0x60, EDU_ACK = 0x64 };

static long edu_write(unsigned reg, uint32_t val) { return pwrite(d, &val, 4, reg); }
static long put_command(uint16_t val) { return pwrite(d, &val, 2, (7ull << 40) + PCI_COMMAND); }

/* @pin: its level matters. */
static void note_edu(bool pin)
{
	uint32_t status = 0;
	uint16_t config = 0;
	unsigned long long e = drain(efd, true), f;

	usleep(20000);
	e += drain(efd, false);
	f = drain(other, false);
	pread(d, &status, 4, EDU_STATUS);
	pread(d, &config, 2, (7ull << 40) + PCI_STATUS);
	note("E %llu F %llu; interrupt status 0x%x", e, f, status);
	if (pin)
		note(", config status bit %u", !!(config & PCI_STATUS_INTERRUPT));
}

#define U(what, x) ({ long r__ = T("edu: " what, x); note_edu(true); r__; })
#define UM(what, x) ({ long r__ = T("edu: " what, x); note_edu(false); r__; })

static void edu_intx(void)
{
	const uint64_t once = 1;
	int fd = eventfd(0, EFD_NONBLOCK);

	put_command(3);
	U("raise without INTx in use", edu_write(EDU_RAISE, 1));
	U("acknowledge without", edu_write(EDU_ACK, 1));
	U("enable INTx", enable(INTX, 0, 1, efd));
	U("unmask while it is low", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("raise", edu_write(EDU_RAISE, 2));
	U("raise more while it is masked by itself", edu_write(EDU_RAISE, 4));
	U("acknowledge one of two", edu_write(EDU_ACK, 2));
	U("unmask, the other is still there", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("acknowledge the other", edu_write(EDU_ACK, 4));
	U("unmask", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("mask", set(NONE | MASK, INTX, 0, 1, NULL, 0));
	U("raise while masked", edu_write(EDU_RAISE, 1));
	U("unmask what waits", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("acknowledge while masked by itself", edu_write(EDU_ACK, 1));
	U("raise while masked by itself", edu_write(EDU_RAISE, 1));
	U("unmask by eventfd", set(EVFD | UNMASK, INTX, 0, 1, &fd, 4));
	U("signal it", write(fd, &once, 8));
	U("signal it again, the pin is high", write(fd, &once, 8));
	U("acknowledge", edu_write(EDU_ACK, 1));
	U("signal it, the pin is low", write(fd, &once, 8));
	U("raise", edu_write(EDU_RAISE, 1));
	U("replace the eventfd while masked by itself", enable(INTX, 0, 1, other));
	U("unmask to the other eventfd", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("no eventfd, then unmask", ({ enable(INTX, 0, 1, -1); set(NONE | UNMASK, INTX, 0, 1, NULL, 0); }));
	U("an eventfd, while it waits", enable(INTX, 0, 1, efd));
	U("unmask to it", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("acknowledge and unmask", ({ edu_write(EDU_ACK, 1); set(NONE | UNMASK, INTX, 0, 1, NULL, 0); }));
	U("INTx disable in the command register", put_command(0x403));
	U("raise while disabled there", edu_write(EDU_RAISE, 1));
	U("unmask while disabled there", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("enabled there again", put_command(3));
	U("disabled there while masked by itself", put_command(0x403));
	U("and enabled there", put_command(3));
	U("acknowledge", edu_write(EDU_ACK, 1));
	U("and unmask", set(NONE | UNMASK, INTX, 0, 1, NULL, 0));
	U("mask, disabled and enabled in the command register", ({ set(NONE | MASK, INTX, 0, 1, NULL, 0); put_command(0x403); put_command(3); }));
	U("raise after that", edu_write(EDU_RAISE, 1));
	U("disable INTx while the pin is high", disable(INTX));
	U("acknowledge then", edu_write(EDU_ACK, 1));
	U("enable it again", enable(INTX, 0, 1, efd));
	U("raise for that", edu_write(EDU_RAISE, 1));
	U("without memory decoding, unmask", ({ put_command(1); set(NONE | UNMASK, INTX, 0, 1, NULL, 0); }));
	U("memory decoding again", put_command(3));
	U("acknowledge at the end", edu_write(EDU_ACK, 1));
	U("disable at the end", disable(INTX));
	close(fd);
}

static void edu_msi(void)
{
	put_command(7);
	UM("enable MSI", enable(MSI, 0, 1, efd));
	UM("raise by MSI", edu_write(EDU_RAISE, 1));
	UM("raise again without acknowledging", edu_write(EDU_RAISE, 2));
	UM("acknowledge", edu_write(EDU_ACK, 3));
	UM("take the eventfd away and raise", ({ enable(MSI, 0, 1, -1); edu_write(EDU_RAISE, 1); }));
	UM("give it back", enable(MSI, 0, 1, efd));
	UM("raise now", edu_write(EDU_RAISE, 1));
	UM("bus mastering off, and raise", ({ put_command(3); edu_write(EDU_RAISE, 1); }));
	UM("bus mastering on", put_command(7));
	UM("MSI disabled in the capability, and raise", ({ uint16_t v = 0x80; pwrite(d, &v, 2, (7ull << 40) + 0x42); edu_write(EDU_RAISE, 1); }));
	UM("MSI enabled there again, and raise", ({ uint16_t v = 0x81; pwrite(d, &v, 2, (7ull << 40) + 0x42); edu_write(EDU_RAISE, 1); }));
	UM("another address in the capability, and raise", ({ uint32_t v = 0xfee01000; pwrite(d, &v, 4, (7ull << 40) + 0x44); edu_write(EDU_RAISE, 1); }));
	UM("acknowledge what came by MSI", edu_write(EDU_ACK, 0xff));
	UM("disable MSI", disable(MSI));
	U("enable INTx then", enable(INTX, 0, 1, other));
	U("raise by the pin", edu_write(EDU_RAISE, 1));
	U("acknowledge at the end", edu_write(EDU_ACK, 0xff));
	disable(INTX);
	UM("an eventfd that was closed, raise", ({ int fd = eventfd(0, 0); enable(MSI, 0, 1, fd); close(fd); edu_write(EDU_RAISE, 1); }));
	UM("acknowledge", edu_write(EDU_ACK, 0xff));
	disable(MSI);
	put_command(3);
}

static bool open_device(const char *arg)
{
	const char *equals = strchr(arg, '=');

	snprintf(name, sizeof(name), "%.*s", (int)(equals - arg), arg);
	snprintf(bdf, sizeof(bdf), "%s", equals + 1);
	x = setup(bdf, VFIO_TYPE1v2_IOMMU, 1);
	d = x.d;
	return d >= 0;
}

/* Does another device here have the same kinds of interrupts? */
static bool is_of_a_kind(void)
{
	static const char *const names[] = { "e1000e", "ahci", "megasas", "vmxnet3", "i82801" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	efd = eventfd(0, EFD_NONBLOCK);
	other = eventfd(0, EFD_NONBLOCK);
	for (int i = 1; i < argc; i++) {
		if (!strchr(argv[i], '=') || !open_device(argv[i])) {
			perror(argv[i]);
			return 1;
		}
		begin(name);
		infos();
		if (!is_of_a_kind())
			shapes();
		if (!strcmp(name, "edu") || !strcmp(name, "xhci") || !strcmp(name, "vga"))
			headers();
		pin();
		vectors(MSI);
		vectors(MSIX);
		asleep(INTX);
		asleep(MSI);
		asleep(MSIX);
		single(ERR);
		single(REQ);
		if (!strcmp(name, "edu")) {
			edu_intx();
			edu_msi();
		}
		teardown(x);
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
