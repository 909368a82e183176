/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forms.c - each call of /dev/iommu in every form: structs too short, short, long, long and dirty, words set that
 * should not be, numbers that are no call.
 *
 * Each question is put to an iommufd of its own, that has a device (object 1), an IOAS (2) and an HWPT (3), in
 * a struct that names these and is good otherwise, or all zeros; then each 32-bit word in turn is all ones.
 *
 * A mock device (forms_mock.c) has more: a nesting parent (5), a vIOMMU (6), a nested HWPT (7), a fault queue (8).
 *
 * usage: forms EDU MSIX    as legacy.c, which tells the rest
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>

#include "tests/conformance/calls.h"
#include "tests/conformance/mock.h"

#ifdef MOCK /* forms_mock.c */
enum { IOAS = 1, DEV = 3, HWPT = 5, VIOMMU, NESTED, FAULT };
#define AT MOCK_START
#define DATA_TYPE SELFTEST_DATA
#define MOCK_TYPE SELFTEST_VIOMMU
#define EVENT_TYPE SELFTEST_VEVENTQ
#define INVALIDATE_TYPE SELFTEST_INVALIDATE
#define INVALIDATE_BYTES 8
#else
enum { DEV = 1, IOAS, HWPT, VIOMMU = HWPT, NESTED = HWPT, FAULT = 0 };
#define AT 0x100000
#define DATA_TYPE 0
#define MOCK_TYPE 1
#define EVENT_TYPE 1
#define INVALIDATE_TYPE 0
#define INVALIDATE_BYTES 24
#endif
#define WORDS 24

struct call {
	const char *name;
	unsigned cmd;
	unsigned size;	   /* of the struct, which each call has in its first word */
	unsigned min_size; /* of the oldest version of it */
	uint32_t good[WORDS - 8]; /* what to ask with; memory is put in by memory_at */
	unsigned memory_at; /* the word where a pointer is; 0 none */
	unsigned fd_at;	    /* the word where a descriptor comes out; 0 none */
};

#define UP_TO(struct_, last_) (unsigned)(offsetof(struct struct_, last_) + sizeof(((struct struct_ *)0)->last_))
#define CMD(cmd_, struct_, last_, at_, fd_, ...) \
	{ #cmd_, IOMMU_##cmd_, sizeof(struct struct_), UP_TO(struct_, last_), { 0, __VA_ARGS__ }, at_, fd_ }

static const struct call calls[] = {
	CMD(DESTROY, iommu_destroy, id, 0, 0, HWPT),
	CMD(IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, 0, 0, 0),
	CMD(IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas, 4, 0, IOAS),
	CMD(IOAS_COPY, iommu_ioas_copy, src_iova, 0, 0, FIXED | RD, IOAS, IOAS, PG, 0, AT + MB, 0, AT),
	CMD(IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment, 4, 0, IOAS, 8),
	CMD(IOAS_MAP, iommu_ioas_map, iova, 4, 0, FIXED | RD, IOAS, 0, 0, 0, PG, 0, AT + 2 * MB),
	CMD(IOAS_UNMAP, iommu_ioas_unmap, length, 0, 0, IOAS, AT, 0, PG),
	CMD(OPTION, iommu_option, val64, 0, 0, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, IOAS),
	CMD(VFIO_IOAS, iommu_vfio_ioas, __reserved, 0, 0, IOAS, IOMMU_VFIO_IOAS_SET),
	#ifdef MOCK
	CMD(HWPT_ALLOC, iommu_hwpt_alloc, __reserved, 8, 0, IOMMU_HWPT_FAULT_ID_VALID, DEV, VIOMMU, 0, 0, DATA_TYPE, 8, 0, 0, FAULT),
#else
	CMD(HWPT_ALLOC, iommu_hwpt_alloc, __reserved, 0, 0, 0, DEV, IOAS),
#endif
	CMD(GET_HW_INFO, iommu_hw_info, __reserved, 4, 0, 0, DEV, 64),
	CMD(HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved, 0, 0, 1, HWPT),
	CMD(HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data, 10, 0, HWPT, 0, 0, AT, 0, PG, 0, PG),
	CMD(HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved, 2, 0, NESTED, 0, 0, INVALIDATE_TYPE, INVALIDATE_BYTES, 1),
	CMD(FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd, 0, 3, 0),
	CMD(IOAS_MAP_FILE, iommu_ioas_map_file, iova, 0, 0, FIXED | RD, IOAS, -1u, 0, 0, PG, 0, AT + 3 * MB),
	CMD(VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id, 0, 0, 0, MOCK_TYPE, DEV, HWPT),
	CMD(VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id, 0, 0, VIOMMU, DEV, 0, 7),
	CMD(IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved, 0, 0, 0),
	CMD(VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd, 0, 6, 0, VIOMMU, EVENT_TYPE, 16),
	CMD(HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length, 0, 0, 0, VIOMMU, MOCK_TYPE, 0, 0, AT, 0, PG),
	CMD(IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys, 0, 0, 0, IOAS, 0, AT, 0, PG),
};
#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

/* ---- an iommufd for each question ---- */

static int iommufd, cdev = -1;

static void is_id(const char *what, uint32_t id, uint32_t want)
{
	if (id != want)
		fprintf(stderr, "%s is object %u, not %u: %m\n", what, id, want);
}

static uint32_t hwpt_alloc(uint32_t pt, uint32_t flags, uint32_t type, void *data, uint32_t len)
{
	struct iommu_hwpt_alloc a = { .size = sizeof(a), .flags = flags, .dev_id = DEV, .pt_id = pt, .data_type = type,
				      .data_uptr = (uintptr_t)data, .data_len = len };
	return ioctl(iommufd, IOMMU_HWPT_ALLOC, &a) ? 0 : a.out_hwpt_id;
}

#ifdef MOCK
static void context_open(void)
{
	uint32_t add[18] = { sizeof(add), MOCK_DOMAIN, IOAS }, data[2] = { 0, 0 };
	struct iommu_viommu_alloc v = { .size = sizeof(v), .type = MOCK_TYPE, .dev_id = DEV, .hwpt_id = HWPT };
	struct iommu_fault_alloc f = { .size = sizeof(f) };

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	is_id("the IOAS", ioas(iommufd), IOAS);
	if (ioctl(iommufd, TEST_CMD, add) && errno == ENOTTY) {
		puts("no mock devices: the kernel has no CONFIG_IOMMUFD_TEST, or softvfio no --iommufd-test");
		exit(77);
	}
	is_id("the device", add[6], DEV);
	imap(iommufd, IOAS, FIXED | RD | WR, mem, PG, AT);
	is_id("the HWPT", hwpt_alloc(IOAS, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, NULL, 0), HWPT);
	is_id("the vIOMMU", ioctl(iommufd, IOMMU_VIOMMU_ALLOC, &v) ? 0 : v.out_viommu_id, VIOMMU);
	is_id("the nested HWPT", hwpt_alloc(HWPT, 0, DATA_TYPE, data, sizeof(data)), NESTED);
	is_id("the fault queue", ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &f) ? 0 : f.out_fault_id, FAULT);
	cdev = (int)f.out_fault_fd; /* to be closed too */
}
#else
static void context_open(void)
{
	uint32_t id = 0;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	cdev = open_cdev(edu);
	if (iommufd < 0 || cdev < 0 || bind_to(cdev, iommufd, &id))
		fprintf(stderr, "no device: %m\n");
	is_id("the device", id, DEV);
	is_id("the IOAS", ioas(iommufd), IOAS);
	imap(iommufd, IOAS, FIXED | RD | WR, mem, PG, AT);
	is_id("the HWPT", hwpt_alloc(IOAS, 0, 0, NULL, 0), HWPT);
}
#endif

static void context_close(void)
{
	close(cdev);
	close(iommufd);
}

/* Ask with @size in the first word; @words has WORDS of them. */
static void ask(const char *what, const struct call *c, uint32_t size, uint32_t *words)
{
	uint32_t before[WORDS];

	context_open();
	words[0] = size;
	memcpy(before, words, sizeof(before));
	T(what, ioctl(iommufd, c->cmd, words));
	for (unsigned w = 0; w < WORDS; w++)
		if (words[w] != before[w])
			note(w == c->fd_at ? "word %u a descriptor " : "word %u 0x%x ", w, words[w]);
	if (c->fd_at && words[c->fd_at] != before[c->fd_at])
		close((int)words[c->fd_at]);
	context_close();
}

static void form(const struct call *c, bool good, uint32_t *words)
{
	uintptr_t at = (uintptr_t)(mem + PG);

	memset(words, 0, WORDS * 4);
	if (!good)
		return;
	memcpy(words, c->good, sizeof(c->good));
	if (c->memory_at) {
		words[c->memory_at] = (uint32_t)at;
		words[c->memory_at + 1] = (uint32_t)(at >> 32);
	}
}

/* ---- sizes ---- */

static void sizes(const struct call *c)
{
	const struct {
		const char *what;
		uint32_t size, dirty_at; /* the word behind the struct, from 1 on, that is not zero */
	} kinds[] = {
		{ "size 0", 0, 0 }, { "size 4", 4, 0 }, { "a word less than the least", c->min_size - 4, 0 },
		{ "the least", c->min_size, 0 }, { "all of it", c->size, 0 }, { "8 bytes more, all zero", c->size + 8, 0 },
		{ "4 bytes more, not zero", c->size + 4, 1 }, { "8 bytes more, the last not zero", c->size + 8, 2 },
	};
	uint32_t words[WORDS];
	char what[60];

	begin(c->name);
	for (int good = 0; good < 2; good++) {
		for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			form(c, good, words);
			if (kinds[i].dirty_at)
				words[c->size / 4 - 1 + kinds[i].dirty_at] = 0x80000000;
			snprintf(what, sizeof(what), "%s%s", kinds[i].what, good ? "" : ", zeros");
			ask(what, c, kinds[i].size, words);
		}
	}
}

/* A struct that ends where memory ends: what is told beyond it cannot be read. */
static void edges(const struct call *c)
{
	unsigned char *at = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t words[WORDS];

	munmap(at + PG, PG);
	form(c, true, words);
	words[0] = c->size;
	memcpy(at + PG - c->size, words, c->size);
	context_open();
	T("at the end of memory", ioctl(iommufd, c->cmd, at + PG - c->size));
	context_close();
	words[0] = c->size + 8;
	memcpy(at + PG - c->size, words, c->size);
	context_open();
	T("8 bytes more than there is memory", ioctl(iommufd, c->cmd, at + PG - c->size));
	context_close();
	memcpy(at + PG - 4, words, 4);
	context_open();
	T("only the size is there", ioctl(iommufd, c->cmd, at + PG - 4));
	context_close();
	munmap(at, PG);
	context_open();
	T("bad pointer", ioctl(iommufd, c->cmd, BAD));
	T("NULL", ioctl(iommufd, c->cmd, NULL));
	context_close();
}

/* ---- words ---- */

static void words_of(const struct call *c)
{
	uint32_t words[WORDS];
	char what[64];

	for (unsigned w = 1; w < c->size / 4; w++) {
		if (c->memory_at && w / 2 == c->memory_at / 2) { /* half of an address: who knows what is there */
			if (w % 2)
				continue;
			form(c, true, words);
			words[w] = words[w + 1] = 0;
			snprintf(what, sizeof(what), "words %u and %u zero", w, w + 1);
			ask(what, c, c->size, words);
			words[w] = words[w + 1] = ~0u;
			snprintf(what, sizeof(what), "words %u and %u all ones", w, w + 1);
			ask(what, c, c->size, words);
			continue;
		}
		for (int good = 0; good < 2; good++) {
			form(c, good, words);
			words[w] = ~0u;
			snprintf(what, sizeof(what), "word %u all ones%s", w, good ? "" : ", the rest zero");
			ask(what, c, c->size, words);
		}
		form(c, true, words);
		words[w] = words[w + 1] = ~0u;
		snprintf(what, sizeof(what), "words %u and %u all ones", w, w + 1);
		if (w % 2 == 0 && w + 1 < c->size / 4)
			ask(what, c, c->size, words);
		form(c, true, words);
		words[w] ^= 1u << 31;
		snprintf(what, sizeof(what), "word %u with its highest bit", w);
		ask(what, c, c->size, words);
		form(c, true, words);
		words[w] = 0;
		snprintf(what, sizeof(what), "word %u zero", w);
		ask(what, c, c->size, words);
	}
}

/* ---- numbers ---- */

static bool known(unsigned nr)
{
	for (unsigned i = 0; i < NR_CALLS; i++)
		if (_IOC_NR(calls[i].cmd) == nr)
			return true;
	return false;
}

static void numbers(void)
{
	uint32_t words[WORDS] = { sizeof(words) };
	char what[60];

	begin("numbers");
	context_open();
	for (unsigned nr = 0; nr < 256; nr++) {
		if (known(nr) || nr == _IOC_NR(TEST_CMD)) /* a kernel may be built with it */
			continue;
		snprintf(what, sizeof(what), "number 0x%02x", nr);
		words[0] = sizeof(words);
		/* 0x64 and on are those of VFIO containers: GET_API_VERSION takes no struct. */
		T(what, ioctl(iommufd, _IO(IOMMUFD_TYPE, nr), words));
	}
	for (unsigned i = 0; i < NR_CALLS; i++) {
		snprintf(what, sizeof(what), "%s as _IOW", calls[i].name);
		T(what, ioctl(iommufd, _IOW(IOMMUFD_TYPE, _IOC_NR(calls[i].cmd), uint32_t), words));
		snprintf(what, sizeof(what), "%s of another type", calls[i].name);
		T(what, ioctl(iommufd, _IO(IOMMUFD_TYPE + 1, _IOC_NR(calls[i].cmd)), words));
	}
	context_close();
}

int main(int argc, char **argv)
{
	start(argc, argv);
	for (unsigned i = 0; i < NR_CALLS; i++) {
		sizes(&calls[i]);
		edges(&calls[i]);
		words_of(&calls[i]);
	}
	numbers();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
