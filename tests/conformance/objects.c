/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * objects.c - random calls on all that hangs on mock devices: page tables of each kind, virtual IOMMUs and devices,
 * their queues, faults, PASIDs, dirty pages.  Which errno comes first, what holds what, what comes out of a queue.  The
 * sequence is the same each time, so that its answers can be recorded.
 *
 * usage: objects EDU MSIX [ROUNDS [SEED]]   (PCI addresses, of devices that are not asked)
 *
 * Each kind of object has some slots; a slot keeps the number of what was made there last, even after its end.
 * Other seeds ask other questions: run with them here and on a real Linux, and compare.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <stdbool.h>

#include "tests/conformance/calls.h"
#include "tests/conformance/mock.h"
#include "tests/conformance/random.h"

#define STEPS 150
#define SLOTS 6 /* of a kind */
#define NOBODY 7777u

enum kind { STDEV, DEV, SPACE, HWPT, VIOMMU, VDEV, FAULTQ, VEVENTQ, QUEUE, KINDS };
static const char *const kind_names[] = {
	"mock", "device", "ioas", "hwpt", "viommu", "vdevice", "faults", "events", "queue",
};
static const unsigned kind_slots[] = { 3, 3, 2, SLOTS, 3, 3, 2, 3, 3 };

struct slot {
	enum kind kind;
	unsigned nr;
};

static int iommufd, fds[KINDS][SLOTS]; /* of queues that are read */
static uint32_t ids[KINDS][SLOTS];
static struct viommu_data pages_of[SLOTS]; /* of vIOMMUs */
static uint32_t mocks[SLOTS * STEPS]; /* all that were made */
static unsigned nr_mocks;
static const uint32_t pasids[] = { 1, 1, 1, 2, 2, 2, 0, 1023, 1 << 20, (1 << 20) - 1, -1u };
static void *shown; /* pages of a vIOMMU that are mapped, or NULL */

static const char *pointer(uint64_t at)
{
	return at > 8 ? "memory" : at ? "bad" : "null";
}

/* ---- objects by their slots ---- */

static struct slot of_kind(enum kind kind)
{
	return (struct slot){ kind, below(kind_slots[kind]) };
}

/* One of @kind, seldom of another; its number. */
static uint32_t some(enum kind kind)
{
	const unsigned other = below(KINDS), odd = below(24);
	const struct slot slot = of_kind(odd == 1 ? other : kind);

	if (!odd) {
		say(" nobody");
		return below(2) ? NOBODY : 0;
	}
	say(" %s%u", kind_names[slot.kind], slot.nr);
	return ids[slot.kind][slot.nr];
}

/* What a device can be attached to, or a page table made of. */
static uint32_t some_table(void)
{
	const unsigned n = below(8);

	return some(n < 5 ? HWPT : n < 7 ? SPACE : VIOMMU);
}

/* The slot that has a number, for what comes out. */
static void note_id(const char *name, uint32_t id)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned nr = 0; nr < kind_slots[kind]; nr++)
			if (id && ids[kind][nr] == id) {
				note("%s %s%u ", name, kind_names[kind], nr);
				return;
			}
	note("%s %s ", name, id ? "another" : "none");
}

static void made(struct slot slot, long ret, uint32_t id)
{
	if (ret >= 0)
		ids[slot.kind][slot.nr] = id;
}

/* The queue that was there before is closed. */
static void made_fd(struct slot slot, long ret, int fd)
{
	if (ret < 0)
		return;
	if (fds[slot.kind][slot.nr] >= 0)
		close(fds[slot.kind][slot.nr]);
	fds[slot.kind][slot.nr] = fd;
}

static long test(uint32_t op, uint32_t id, union test_cmd *c)
{
	c->w[0] = sizeof(*c);
	c->w[1] = op;
	c->w[2] = id;
	return ioctl(iommufd, TEST_CMD, c);
}

/* Nobody answers for a mock device that goes while a PASID of it is attached: Linux oopses some calls later. */
static void detach_pasids(uint32_t mock)
{
	union test_cmd c = { 0 };

	for (unsigned i = 0; i < COUNT(pasids); i++) {
		c.w[4] = pasids[i];
		test(PASID_DETACH, mock, &c);
	}
}

static long end_of(uint32_t id)
{
	detach_pasids(id);
	return destroy(iommufd, id);
}

/* What is made takes the place of what was made there before. */
static struct slot place(enum kind kind)
{
	const struct slot slot = of_kind(kind);
	const bool leave = below(3);
	char kept[sizeof(what)];

	if (leave || !ids[slot.kind][slot.nr])
		return slot;
	memcpy(kept, what, sizeof(kept));
	say(": DESTROY %s%u before", kind_names[slot.kind], slot.nr);
	T(what, end_of(ids[slot.kind][slot.nr]));
	memcpy(what, kept, sizeof(kept));
	return slot;
}

static void say_place(struct slot slot)
{
	say(" %s%u:", kind_names[slot.kind], slot.nr);
}

/* ---- mock devices ---- */

static void make_mock(unsigned step)
{
	static const uint32_t flags[] = { 0, 0, PASID, PASID, PASID, NO_DIRTY, NO_DIRTY | PASID, 2, 8 };
	union test_cmd c = { .w = { [7] = flags[below(COUNT(flags))] } };
	struct slot slot;
	uint32_t id;
	long ret;

	call("%u MOCK flags %u", step, c.w[7]);
	slot = place(STDEV);
	say_place(slot);
	id = below(4) ? some(SPACE) : some_table();
	ret = T(what, test(MOCK_FLAGS, id, &c));
	made(slot, ret, c.w[4]);
	made((struct slot){ DEV, slot.nr }, ret, c.w[6]);
	if (ret)
		return;
	note_id("hwpt", c.w[5]);
	mocks[nr_mocks++] = c.w[4];
}

static void replace(unsigned step)
{
	union test_cmd c = { 0 };
	uint32_t mock;

	call("%u REPLACE", step);
	mock = some(STDEV);
	c.w[4] = some_table();
	if (!T(what, test(REPLACE, mock, &c)))
		note_id("now", c.w[4]);
}

static void pasid(unsigned step)
{
	static const char *const names[] = { "ATTACH", "REPLACE", "DETACH", "CHECK_HWPT" };
	const unsigned op = below(4);
	union test_cmd c = { .w = { [4] = pasids[below(COUNT(pasids))] } };
	uint32_t mock;

	call("%u PASID_%s 0x%x", step, names[op], c.w[4]);
	mock = some(STDEV);
	if (op == 3)
		c.w[5] = below(2) ? some(HWPT) : 0;
	else if (op < 2)
		c.w[5] = some_table();
	if (!T(what, test(PASID_ATTACH + op, mock, &c)) && op < 2)
		note_id("now", c.w[5]);
}

static void check_word(unsigned step)
{
	static const uint32_t values[] = { 0, 0, 0xbaddad, 0xbadbeef, 5, 6, 7 };
	const bool iotlb = below(2);
	union test_cmd c = { .w = { [4] = below(5), [5] = values[below(COUNT(values))] } };
	uint32_t id;

	call("%u %s %u 0x%x", step, iotlb ? "MD_CHECK_IOTLB" : "DEV_CHECK_CACHE", c.w[4], c.w[5]);
	id = some(iotlb ? HWPT : DEV);
	T(what, test(iotlb ? CHECK_IOTLB : CHECK_CACHE, id, &c));
}

/* ---- memory ---- */

static uint64_t some_iova(void)
{
	static const uint64_t edges[] = {
		0, MOCK_START - PG, MOCK_LAST - PG + 1, MOCK_LAST + 1, MOCK_START + 1, -PG, -1ull,
	};

	return below(12) ? MOCK_START + PG * below(8) : edges[below(COUNT(edges))];
}

static uint64_t some_length(void)
{
	static const uint64_t edges[] = { 0, 1, 0x800, PG + 1, 1ull << 40, -1ull };

	return below(12) ? PG * (1 + below(4)) : edges[below(COUNT(edges))];
}

/*
 * An even page of memory is at an odd iova, so that no entry of a page table is larger than a page: Linux does not tell
 * what is dirty of one that does not begin where the question does.
 */
static uint64_t some_offset(uint64_t iova)
{
	return (2 * below(8) + (iova & PG ? 0 : 1)) * PG;
}

static void map_or_unmap(unsigned step)
{
	const bool into = below(3), all = !into && below(2);
	const uint64_t iova = all ? 0 : some_iova(), length = all ? -1ull : some_length(), off = some_offset(iova);
	uint32_t id;

	call("%u %s 0x%llx bytes at 0x%llx", step, into ? "MAP" : "UNMAP", HEX(length), HEX(iova));
	id = some(SPACE);
	if (into) {
		say(" memory+0x%llx", HEX(off));
		T(what, imap(iommufd, id, FIXED | RD | WR, mem + off, length, iova));
	} else {
		TI(what, iommufd, id, iova, length);
	}
}

static void check_map(unsigned step)
{
	const uint64_t iova = MOCK_START + PG * below(8), off = some_offset(iova);
	union test_cmd c = { .q = { [2] = iova, [3] = PG * (1 + below(2)), [4] = (uintptr_t)mem + off } };
	uint32_t id;

	call("%u MD_CHECK_MAP 0x%llx bytes at 0x%llx memory+0x%llx", step, HEX(c.q[3]), HEX(c.q[2]), HEX(off));
	id = some(HWPT);
	T(what, test(CHECK_MAP, id, &c));
}

static void huge_pages(unsigned step)
{
	uint64_t value = below(3);
	const uint16_t op = below(3);
	uint32_t id;

	call("%u OPTION huge pages, op %u value %llu", step, op, HEX(value));
	id = some(SPACE);
	T(what, iopt(iommufd, IOMMU_OPTION_HUGE_PAGES, op, id, &value));
	note("value %llu", HEX(value));
}

/* ---- dirty pages ---- */

static void set_dirty_tracking(unsigned step)
{
	struct iommu_hwpt_set_dirty_tracking s = { .size = sizeof(s), .flags = below(12) ? below(2) : below(8),
						   .__reserved = !below(24) };

	call("%u SET_DIRTY_TRACKING flags %u reserved %u", step, s.flags, s.__reserved);
	s.hwpt_id = some(HWPT);
	T(what, ioctl(iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &s));
}

/* Pages of a bitmap are the mock's, 2048 bytes, or larger. */
static uint64_t some_page_size(void)
{
	static const uint64_t sizes[] = { MOCK_PG, MOCK_PG, PG, PG, 2 * PG, 1024, 0, 3 * PG, 1ull << 63 };

	return sizes[below(COUNT(sizes))];
}

static void make_dirty(unsigned step)
{
	static uint64_t bits;
	union test_cmd c = { .w = { [4] = below(12) ? 0 : below(4) } };
	uint32_t id;

	c.q[3] = some_iova();
	c.q[4] = some_length();
	c.q[5] = below(3) ? MOCK_PG : PG;
	c.q[6] = below(24) ? (uintptr_t)&bits : 8;
	bits = below(1 << 16);
	call("%u DIRTY flags %u 0x%llx bytes at 0x%llx pages 0x%llx %s 0x%llx", step, c.w[4], HEX(c.q[4]),
		   HEX(c.q[3]), HEX(c.q[5]), pointer(c.q[6]), HEX(bits));
	id = some(HWPT);
	if (!T(what, test(DIRTY, id, &c)))
		note("%llu dirty", HEX(c.q[7]));
}

static void get_dirty_bitmap(unsigned step)
{
	static uint64_t bits[64];
	struct iommu_hwpt_get_dirty_bitmap g = { .size = sizeof(g), .flags = below(12) ? below(2) : below(8),
						 .__reserved = !below(24), .iova = some_iova(),
						 .length = some_length() & ~MOCK_PG, /* nor part of an entry */
						 .page_size = some_page_size(),
						 .data = below(24) ? (uintptr_t)bits : 8 };

	memset(bits, 0, sizeof(bits));
	call("%u GET_DIRTY_BITMAP flags %u reserved %u 0x%llx bytes at 0x%llx pages 0x%llx %s", step, g.flags,
		   g.__reserved, HEX(g.length), HEX(g.iova), HEX(g.page_size), pointer(g.data));
	g.hwpt_id = some(HWPT);
	T(what, ioctl(iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &g));
	for (unsigned w = 0; w < COUNT(bits); w++)
		if (bits[w])
			note("%u: 0x%llx ", w, HEX(bits[w]));
}

/* ---- page tables ---- */

static void hwpt_alloc(unsigned step)
{
	static const uint32_t flags[] = { 0, 0, 0, IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_NEST_PARENT,
					  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, IOMMU_HWPT_FAULT_ID_VALID,
					  IOMMU_HWPT_FAULT_ID_VALID, IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_ALLOC_PASID };
	static uint32_t data[4];
	const bool nested = below(2), odd = !below(8);
	struct iommu_hwpt_alloc a = { .size = sizeof(a), .flags = below(6) ? flags[below(COUNT(flags))] : below(32),
				      .data_type = nested ? SELFTEST_DATA : 0, .data_len = nested ? 8 : 0,
				      .data_uptr = nested ? (uintptr_t)data : 0 };
	struct slot slot;
	long ret;

	data[0] = 5 + below(3);
	data[1] = below(12) ? 0 : below(3);
	data[2] = data[3] = below(4) ? 0 : 1;
	if (odd) {
		a.data_type = below(2) ? SELFTEST_DATA : below(3);
		a.data_len = 4 * below(5);
		a.data_uptr = below(3) ? (uintptr_t)data : 8 * below(2);
	}
	a.__reserved = !below(40);
	call("%u HWPT_ALLOC flags %u reserved %u data type 0x%x %u bytes %s %u %u %u", step, a.flags,
		   a.__reserved, a.data_type, a.data_len, pointer(a.data_uptr), data[0], data[1], data[2]);
	slot = place(HWPT);
	say_place(slot);
	a.dev_id = some(DEV);
	a.pt_id = !nested && below(8) ? some(SPACE) : some_table();
	if (a.flags & IOMMU_HWPT_FAULT_ID_VALID || !below(24))
		a.fault_id = some(FAULTQ);
	ret = T(what, ioctl(iommufd, IOMMU_HWPT_ALLOC, &a));
	made(slot, ret, a.out_hwpt_id);
}

static void hw_info(unsigned step)
{
	static uint32_t data[8];
	struct iommu_hw_info h = { .size = sizeof(h), .flags = below(12) ? below(2) : below(8),
				   .data_len = 4 * below(6),
				   .data_uptr = below(12) ? (uintptr_t)data : 8 * below(2) };

	memset(data, 0xff, sizeof(data));
	h.in_data_type = h.flags & 1 ? below(4) ? SELFTEST_HW_INFO : below(3) : below(12) ? 0 : 1;
	call("%u GET_HW_INFO flags %u type 0x%x %u bytes %s", step, h.flags, h.in_data_type, h.data_len,
		   pointer(h.data_uptr));
	h.dev_id = some(DEV);
	if (T(what, ioctl(iommufd, IOMMU_GET_HW_INFO, &h)))
		return;
	note("type 0x%x %u bytes capabilities 0x%llx pasids %u: ", h.out_data_type, h.data_len, HEX(h.out_capabilities),
	     h.out_max_pasid_log2);
	for (unsigned w = 0; w < 6; w++)
		note("0x%x ", data[w]);
}

/* Entries for a nested table have two words, those for a vIOMMU three. */
static void invalidate(unsigned step)
{
	static const uint32_t lengths[] = { 0, 1, 3, 4, 7, 8, 9, 12, 13, 16, 24, 4096, 4097, -1u };
	static const uint32_t virt_ids[] = { 0, 1, 2, 0x99 };
	static uint32_t entries[4096];
	const bool nested = below(2);
	struct iommu_hwpt_invalidate i = { .size = sizeof(i), .data_uptr = (uintptr_t)entries,
					   .data_type = SELFTEST_INVALIDATE, .entry_len = nested ? 8 : 12,
					   .entry_num = 1 + below(3) };
	const unsigned words = i.entry_len / 4, odd = below(4);

	memset(entries, 0, sizeof(entries));
	for (unsigned e = 0; e < 3; e++) {
		entries[e * words] = below(6) ? below(2) : below(4);
		entries[e * words + words - 1] = below(6) ? below(4) : below(6);
		if (!nested)
			entries[e * words + 1] = virt_ids[below(COUNT(virt_ids))];
	}
	if (!odd) {
		i.entry_len = lengths[below(COUNT(lengths))];
		i.entry_num = below(3) ? 1 + below(3) : below(3) ? 0 : below(2) ? 1 << 19 : -1u;
		i.data_type = below(3) ? SELFTEST_INVALIDATE : below(2);
		i.data_uptr = below(3) ? (uintptr_t)entries : 8 * below(2);
	}
	i.__reserved = !below(40);
	call("%u INVALIDATE reserved %u type 0x%x %u of %u bytes, %s", step, i.__reserved, i.data_type,
		   i.entry_num, i.entry_len, pointer(i.data_uptr));
	for (unsigned w = 0; w < 3 * words; w++)
		say(w % words ? " %x" : ": %x", entries[w]);
	say(",");
	i.hwpt_id = below(6) ? some(nested ? HWPT : VIOMMU) : some_table();
	T(what, ioctl(iommufd, IOMMU_HWPT_INVALIDATE, &i));
	note("%u done", i.entry_num);
}

/* ---- virtual IOMMUs ---- */

static void viommu_alloc(unsigned step)
{
	static struct viommu_data data;
	const bool with_data = below(2);
	struct iommu_viommu_alloc v = { .size = sizeof(v), .flags = !below(24),
					.type = below(8) ? SELFTEST_VIOMMU : below(4),
					.data_len = with_data ? sizeof(data) : 0,
					.data_uptr = with_data ? (uintptr_t)&data : 0 };
	struct slot slot;
	long ret;

	data = (struct viommu_data){ .in = 40 + below(3) };
	if (!below(8)) {
		v.data_len = 4 * below(9);
		v.data_uptr = below(3) ? (uintptr_t)&data : 8 * below(2);
	}
	call("%u VIOMMU_ALLOC flags %u type 0x%x data %u bytes %s %u", step, v.flags, v.type, v.data_len,
		   pointer(v.data_uptr), data.in);
	slot = place(VIOMMU);
	say_place(slot);
	v.dev_id = some(DEV);
	v.hwpt_id = some(HWPT);
	ret = T(what, ioctl(iommufd, IOMMU_VIOMMU_ALLOC, &v));
	made(slot, ret, v.out_viommu_id);
	note("data out %u, 0x%llx bytes of pages", data.out, HEX(data.length));
	if (!ret)
		pages_of[slot.nr] = data;
}

static void vdevice_alloc(unsigned step)
{
	const uint64_t far = below(2) ? 1ull << 32 : -1ull;
	struct iommu_vdevice_alloc v = { .size = sizeof(v), .virt_id = below(12) ? below(3) : far };
	struct slot slot;

	call("%u VDEVICE_ALLOC 0x%llx", step, HEX(v.virt_id));
	slot = place(VDEV);
	say_place(slot);
	v.viommu_id = some(VIOMMU);
	v.dev_id = some(DEV);
	made(slot, T(what, ioctl(iommufd, IOMMU_VDEVICE_ALLOC, &v)), v.out_vdevice_id);
}

static void hw_queue_alloc(unsigned step)
{
	struct iommu_hw_queue_alloc q = { .size = sizeof(q), .flags = !below(24),
					  .type = below(12) ? SELFTEST_HW_QUEUE : below(3),
					  .index = below(8) ? below(2) : below(4),
					  .nesting_parent_iova = some_iova(),
					  .length = below(2) ? PG : below(2) ? 0x800 : some_length() };
	struct slot slot;

	call("%u HW_QUEUE_ALLOC flags %u type 0x%x index %u 0x%llx bytes at 0x%llx", step, q.flags, q.type,
		   q.index, HEX(q.length), HEX(q.nesting_parent_iova));
	slot = place(QUEUE);
	say_place(slot);
	q.viommu_id = some(VIOMMU);
	made(slot, T(what, ioctl(iommufd, IOMMU_HW_QUEUE_ALLOC, &q)), q.out_hw_queue_id);
}

/* Show the pages of a vIOMMU, or what is beside them; what was shown before goes first. */
static void show_pages(unsigned step)
{
	const unsigned nr = below(kind_slots[VIOMMU]), odd = below(8);
	const int prot = below(3) ? PROT_READ | PROT_WRITE : PROT_READ, flags = odd == 2 ? MAP_PRIVATE : MAP_SHARED;
	uint64_t offset = pages_of[nr].offset, length = pages_of[nr].length;
	void *at;

	if (shown)
		munmap(shown, 2 * PG);
	shown = NULL;
	call("%u mmap the pages of viommu%u, prot %d", step, nr, prot);
	if (odd < 3)
		say(odd == 0 ? ", half of them" : odd == 1 ? ", the second" : ", private");
	if (odd == 1)
		offset += PG;
	if (odd < 2 && length)
		length = PG;
	if (T(what, (at = mmap(NULL, length ?: PG, prot, flags, iommufd, (off_t)offset)) == MAP_FAILED ? -1 : 0))
		return;
	note("%u", *(uint32_t *)at);
	shown = at;
}

static void hide_pages(unsigned step)
{
	call("%u munmap", step);
	if (shown)
		munmap(shown, 2 * PG);
	shown = NULL;
}

/* ---- events and faults ---- */

static void veventq_alloc(unsigned step)
{
	static const uint32_t depths[] = { 1, 1, 2, 3, 4, 0, 1 << 19, (1 << 19) + 1 };
	struct iommu_veventq_alloc v = { .size = sizeof(v), .flags = !below(24),
					 .type = below(12) ? SELFTEST_VEVENTQ : below(3),
					 .veventq_depth = depths[below(COUNT(depths))], .__reserved = !below(24) };
	struct slot slot;
	long ret;

	call("%u VEVENTQ_ALLOC flags %u reserved %u type 0x%x depth %u", step, v.flags, v.__reserved, v.type,
		   v.veventq_depth);
	slot = place(VEVENTQ);
	say_place(slot);
	v.viommu_id = some(VIOMMU);
	ret = T(what, ioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &v));
	made(slot, ret, v.out_veventq_id);
	made_fd(slot, ret, (int)v.out_veventq_fd);
}

static void faultq_alloc(unsigned step)
{
	struct iommu_fault_alloc f = { .size = sizeof(f), .flags = !below(24) };
	struct slot slot;
	long ret;

	call("%u FAULT_QUEUE_ALLOC flags %u", step, f.flags);
	slot = place(FAULTQ);
	say_place(slot);
	ret = T(what, ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &f));
	made(slot, ret, f.out_fault_id);
	made_fd(slot, ret, (int)f.out_fault_fd);
}

static void trigger_vevent(unsigned step)
{
	union test_cmd c = { 0 };
	const unsigned times = 1 + below(3);

	call("%u TRIGGER_VEVENT", step);
	c.w[4] = some(DEV);
	for (unsigned i = 0; i < times; i++)
		T(what, test(TRIGGER_VEVENT, 0, &c));
}

static void trigger_iopf(unsigned step)
{
	static const uint32_t from[] = { 0, 0, 0, -1u, 1, 1, 2, 7 };
	union test_cmd c = { .w = { [5] = from[below(COUNT(from))], [6] = below(4), [7] = below(16) } };

	c.q[4] = PG * below(16);
	call("%u TRIGGER_IOPF pasid 0x%x group %u perm %u addr 0x%llx", step, c.w[5], c.w[6], c.w[7],
		   HEX(c.q[4]));
	c.w[4] = some(DEV);
	T(what, test(TRIGGER_IOPF, 0, &c));
}

static const char *readiness(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	poll(&p, 1, 0);
	return p.revents == (POLLIN | POLLOUT) ? "in out" : p.revents == POLLIN ? "in" : p.revents == POLLOUT ? "out" :
	       p.revents ? "error" : "nothing";
}

static void read_queue(unsigned step, enum kind kind)
{
	static const size_t sizes[2][10] = {
		{ 40, 40, 40, 80, 400, 0, 8, 39, 41, 79 }, /* of faults */
		{ 12, 12, 24, 400, 0, 7, 8, 11, 13, 20 }, /* of events */
	};
	static uint32_t words[100];
	const unsigned nr = below(kind_slots[kind]), bad = !below(16);
	const size_t size = sizes[kind == VEVENTQ][below(10)];
	const int fd = fds[kind][nr];
	long ret;

	call("%u read %zu bytes of %s%u%s", step, size, kind_names[kind], nr, bad ? ", bad" : "");
	memset(words, 0, sizeof(words));
	ret = T(what, read(fd, bad ? BAD : words, size));
	for (long at = 0; kind == FAULTQ && at + 40 <= ret; at += 40) {
		const struct iommu_hwpt_pgfault *f = (void *)((char *)words + at);

		note("flags %u pasid %u group %u perm %u addr 0x%llx length %u cookie %u ", f->flags, f->pasid,
		     f->grpid, f->perm, HEX(f->addr), f->length, f->cookie);
		note_id("of", f->dev_id);
	}
	for (long w = 0; kind == VEVENTQ && w < ret / 4; w++)
		note("%x ", words[w]);
	note("poll: %s", readiness(fd));
}

static void write_queue(unsigned step, enum kind kind)
{
	static const size_t sizes[] = { 8, 8, 8, 16, 0, 4, 7, 9 };
	struct iommu_hwpt_page_response r[2];
	const unsigned nr = below(kind_slots[kind]), bad = !below(16);
	const size_t size = sizes[below(COUNT(sizes))];

	for (unsigned i = 0; i < 2; i++)
		r[i] = (struct iommu_hwpt_page_response){ .cookie = 1 + below(3),
							  .code = below(8) ? below(2) : below(4) };
	call("%u write %zu bytes to %s%u: %u code %u, %u code %u%s", step, size, kind_names[kind], nr,
		   r[0].cookie, r[0].code, r[1].cookie, r[1].code, bad ? ", bad" : "");
	T(what, write(fds[kind][nr], bad ? BAD : r, size));
	note("poll: %s", readiness(fds[kind][nr]));
}

/* What is likely to bring faults to a queue, and to take them out. */
static void faults(unsigned step)
{
	trigger_iopf(step);
	read_queue(step, FAULTQ);
	write_queue(step, FAULTQ);
}

/* ---- a random one ---- */

static void end(unsigned step)
{
	uint32_t id;

	call("%u DESTROY", step);
	id = some(below(KINDS));
	T(what, end_of(id));
}

static void step(unsigned n)
{
	switch (below(40)) {
	case 0 ... 1: make_mock(n); break;
	case 2 ... 6: replace(n); break;
	case 7 ... 9: pasid(n); break;
	case 10 ... 11: check_word(n); break;
	case 12: map_or_unmap(n); break;
	case 13: check_map(n); break;
	case 14: below(4) ? set_dirty_tracking(n) : huge_pages(n); break;
	case 15: make_dirty(n); break;
	case 16 ... 17: get_dirty_bitmap(n); break;
	case 18 ... 22: hwpt_alloc(n); break;
	case 23: hw_info(n); break;
	case 24 ... 26: invalidate(n); break;
	case 27: viommu_alloc(n); break;
	case 28 ... 29: vdevice_alloc(n); break;
	case 30: hw_queue_alloc(n); break;
	case 31: below(3) ? show_pages(n) : hide_pages(n); break;
	case 32: veventq_alloc(n); break;
	case 33: faultq_alloc(n); break;
	case 34: trigger_vevent(n); break;
	case 35: trigger_iopf(n); break;
	case 36: read_queue(n, below(2) ? FAULTQ : VEVENTQ); break;
	case 37: write_queue(n, below(4) ? FAULTQ : VEVENTQ); break;
	case 38: end(n); break;
	default: faults(n); break;
	}
}

/* ---- an iommufd each ---- */

static uint32_t good_hwpt(uint32_t pt, uint32_t flags, uint32_t *data)
{
	struct iommu_hwpt_alloc a = { .size = sizeof(a), .flags = flags, .dev_id = ids[DEV][0], .pt_id = pt,
				      .data_type = data ? SELFTEST_DATA : 0, .data_len = data ? 8 : 0,
				      .data_uptr = (uintptr_t)data,
				      .fault_id = flags & IOMMU_HWPT_FAULT_ID_VALID ? ids[FAULTQ][0] : 0 };

	return ioctl(iommufd, IOMMU_HWPT_ALLOC, &a) ? 0 : a.out_hwpt_id;
}

/* What it begins with: two devices, page tables of each kind, a vIOMMU that has a device and queues. */
static void begin_round(void)
{
	static const uint32_t flags[] = { PASID, 0 };
	static struct viommu_data data;
	struct iommu_fault_alloc f = { .size = sizeof(f) };
	struct iommu_viommu_alloc v = { .size = sizeof(v), .type = SELFTEST_VIOMMU, .data_len = sizeof(data),
					.data_uptr = (uintptr_t)&data };
	struct iommu_vdevice_alloc d = { .size = sizeof(d), .virt_id = 1 };
	struct iommu_veventq_alloc e = { .size = sizeof(e), .type = SELFTEST_VEVENTQ, .veventq_depth = 2 };
	struct iommu_hwpt_set_dirty_tracking t = { .size = sizeof(t), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE };
	uint32_t iotlb[2] = { 5, 0 };
	union test_cmd c;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	memset(ids, 0, sizeof(ids));
	memset(fds, -1, sizeof(fds));
	memset(pages_of, 0, sizeof(pages_of));
	for (unsigned k = 0; k < kind_slots[SPACE]; k++) {
		ids[SPACE][k] = ioas(iommufd);
		imap(iommufd, ids[SPACE][k], FIXED | RD | WR, mem + PG, 4 * PG, MOCK_START + k * 2 * PG);
	}
	for (unsigned k = 0; k < COUNT(flags); k++) {
		c = (union test_cmd){ .w = { [7] = flags[k] } };
		if (test(MOCK_FLAGS, ids[SPACE][0], &c)) {
			puts("no mock devices: the kernel has no CONFIG_IOMMUFD_TEST, or softvfio no --iommufd-test");
			exit(77);
		}
		mocks[nr_mocks++] = ids[STDEV][k] = c.w[4];
		ids[DEV][k] = c.w[6];
	}
	ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &f);
	ids[FAULTQ][0] = f.out_fault_id;
	fds[FAULTQ][0] = (int)f.out_fault_fd;
	ids[HWPT][0] = good_hwpt(ids[SPACE][0], IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, NULL);
	ids[HWPT][1] = good_hwpt(ids[SPACE][0], IOMMU_HWPT_ALLOC_PASID, NULL);
	ids[HWPT][2] = good_hwpt(ids[HWPT][0], IOMMU_HWPT_FAULT_ID_VALID, iotlb);
	v.dev_id = d.dev_id = ids[DEV][0];
	v.hwpt_id = ids[HWPT][0];
	ioctl(iommufd, IOMMU_VIOMMU_ALLOC, &v);
	ids[VIOMMU][0] = d.viommu_id = e.viommu_id = v.out_viommu_id;
	pages_of[0] = data;
	ids[HWPT][3] = good_hwpt(v.out_viommu_id, IOMMU_HWPT_FAULT_ID_VALID, iotlb);
	ids[HWPT][4] = good_hwpt(v.out_viommu_id, IOMMU_HWPT_ALLOC_PASID, iotlb);
	ids[HWPT][5] = good_hwpt(ids[SPACE][1], IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, NULL);
	ioctl(iommufd, IOMMU_VDEVICE_ALLOC, &d);
	ids[VDEV][0] = d.out_vdevice_id;
	c = (union test_cmd){ .w = { [4] = ids[HWPT][1] } };
	test(REPLACE, ids[STDEV][0], &c);
	t.hwpt_id = ids[HWPT][0];
	ioctl(iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &t);
	ioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &e);
	ids[VEVENTQ][0] = e.out_veventq_id;
	fds[VEVENTQ][0] = (int)e.out_veventq_fd;
}

static void end_round(void)
{
	if (shown)
		munmap(shown, 2 * PG);
	shown = NULL;
	while (nr_mocks)
		detach_pasids(mocks[--nr_mocks]);
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned nr = 0; nr < SLOTS; nr++)
			if (fds[kind][nr] >= 0)
				close(fds[kind][nr]);
	close(iommufd);
}

static void run(unsigned round)
{
	(void)round;
	begin_seed("");
	begin_round();
	for (unsigned n = 0; n < STEPS; n++)
		step(n);
	end_round();
}

int main(int argc, char **argv)
{
	start(argc, argv);
	return random_rounds(argc, argv, 20, run);
}
