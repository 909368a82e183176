/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * random_test.c - two address spaces and their page tables, held against a model that any eye can check.
 *
 * The model is two arrays of pages: which mapping a page belongs to, and which page of memory it shows.  All
 * that an address space does at random (map, copy, unmap, cut, reserve, pin, come into page tables and leave
 * them) is done to both.  After each step: does each page of each page table lead where the model says, is each
 * page of memory pinned as often as the model counts, and was the answer the one that the model expects?
 *
 * A seed is printed; SEED=N STEPS=M in the environment replay or lengthen the run.
 */
#include <time.h>

#include "kernel/iommufd/iommufd_rig_test.h"

#define PG PAGE_SIZE
#define PAGES 64	/* of IOVA in each address space, from T_FLAT_START on */
#define MEM_PAGES 24
#define SPACES 2
#define DOMAINS 3	/* of each */
#define TOP UINT64_MAX

struct page {
	unsigned mapping;	/* a number of its own; 0: nothing is mapped */
	unsigned owner;		/* the iopt_pages that it is of: what a COPY shares */
	unsigned mem;		/* page of memory */
	bool writable;
	bool owner_writable;
	unsigned pins;		/* by the access */
};

static struct {
	int fd;
	u64 seed;
	char *mem;
	unsigned numbers;	/* given out */
	struct space {
		u32 id;
		struct io_pagetable *iopt;
		struct iopt_access access;
		struct iommu_domain *domains[DOMAINS];
		bool in[DOMAINS];
		struct page pages[PAGES];
		bool reserved[PAGES];
		struct pinned { unsigned at, len; } pinned[8]; /* len 0: free */
	} space[SPACES];
} t;

static unsigned below(unsigned n)
{
	t.seed = t.seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(t.seed >> 33) % n;
}

static u64 iova_of(unsigned page) { return T_FLAT_START + page * PG; }

static bool in_a_domain(const struct space *s)
{
	return s->in[0] || s->in[1] || s->in[2];
}

/* ---- what the model expects ---- */

/* An unaligned length would be no use: the edges of mappings are pages here. */
static int expect_free(const struct space *s, unsigned at, unsigned len)
{
	for (unsigned i = at; i < at + len; i++) {
		if (s->reserved[i])
			return -EINVAL;
	}
	for (unsigned i = at; i < at + len; i++) {
		if (s->pages[i].mapping)
			return -EEXIST;
	}
	return 0;
}

static void check_tables(const struct space *s)
{
	for (unsigned d = 0; d < DOMAINS; d++) {
		for (unsigned i = 0; i < PAGES; i++) {
			char *want = s->in[d] && s->pages[i].mapping ? t.mem + s->pages[i].mem * PG : NULL;

			assert_ptr_equal(t_leads_to(s->domains[d], iova_of(i)), want);
		}
	}
}

/* A page of memory is pinned once for each iopt_pages of which somebody uses it. */
static void check_pins(void)
{
	static unsigned owners[MEM_PAGES][SPACES * PAGES];

	for (unsigned m = 0; m < MEM_PAGES; m++) {
		unsigned count = 0;

		for (unsigned n = 0; n < SPACES * PAGES; n++) {
			const struct space *s = &t.space[n / PAGES];
			const struct page *p = &s->pages[n % PAGES];
			bool known = false;

			if (!p->mapping || p->mem != m || (!in_a_domain(s) && !p->pins))
				continue;
			for (unsigned k = 0; k < count; k++)
				known |= owners[m][k] == p->owner;
			if (!known)
				owners[m][count++] = p->owner;
		}
		assert_int_equal(t_pins(t.mem + m * PG), count);
	}
}

static void check_all(void)
{
	for (unsigned i = 0; i < SPACES; i++) {
		check_tables(&t.space[i]);
		assert_true(range_tree_valid(&t.space[i].iopt->areas));
	}
	check_pins();
}

static void expect(const char *what, long ret, long want)
{
	if (ret != want)
		fprintf(stderr, "%s: %ld, the model expects %ld; %s\n", what, ret, want, explain_take());
	assert_int_equal(ret, want);
}

/* ---- steps ---- */

static void do_map(struct space *s)
{
	unsigned len = 1 + below(6), at = below(PAGES - len), mem = below(MEM_PAGES - len);
	bool write = below(2);
	int want = expect_free(s, at, len);

	expect("map", t_map(t.fd, s->id, T_FIXED | T_RD | (write ? T_WR : 0), t.mem + mem * PG, len * PG, iova_of(at)),
	       want);
	if (want)
		return;
	t.numbers++;
	for (unsigned i = 0; i < len; i++)
		s->pages[at + i] = (struct page){ t.numbers, t.numbers, mem + i, write, write, 0 };
}

/* The lowest place that fits. */
static void do_map_anywhere(struct space *s)
{
	unsigned len = 1 + below(5), mem = below(MEM_PAGES - len), at;
	unsigned align = 1, mem_align = (unsigned)((uintptr_t)(t.mem + mem * PG) / PG & 0xffff);
	long ret, want = -ENOSPC;

	while (align < len)
		align *= 2;
	while (mem_align % align)
		align /= 2;
	for (at = 0; at + len <= PAGES; at++) {
		if ((iova_of(at) / PG) % align == 0 && !expect_free(s, at, len)) {
			want = 0;
			break;
		}
	}
	ret = t_map(t.fd, s->id, T_RW, t.mem + mem * PG, len * PG, 0);
	if (want) { /* it may lie outside of what we model, where there is room without end */
		if (!ret)
			t_works(t_unmap(t.fd, s->id, t_iova, len * PG));
		return;
	}
	expect("map anywhere", ret, 0);
	if (t_iova != iova_of(at))
		fprintf(stderr, "%#llx, not %#llx\n", (unsigned long long)t_iova, (unsigned long long)iova_of(at));
	assert_int_equal(t_iova, iova_of(at));
	t.numbers++;
	for (unsigned i = 0; i < len; i++)
		s->pages[at + i] = (struct page){ t.numbers, t.numbers, mem + i, true, true, 0 };
}

static void do_copy(struct space *from, struct space *to)
{
	unsigned len = 1 + below(6), src = below(PAGES - len), dst = below(PAGES - len);
	bool write = below(2);
	struct page pages[8];
	long want = 0;
	unsigned i;

	for (i = 0; i < len && !want; i++) {
		if (!from->pages[src + i].mapping)
			want = -ENOENT;
	}
	if (!want)
		want = expect_free(to, dst, len);
	for (i = 0; i < len && !want; i++) {
		if (write && !from->pages[src + i].owner_writable)
			want = -EPERM;
	}
	expect("copy", t_copy(t.fd, T_FIXED | T_RD | (write ? T_WR : 0), to->id, iova_of(dst), from->id, iova_of(src),
			      len * PG), want);
	if (want)
		return;
	memcpy(pages, &from->pages[src], len * sizeof(*pages));
	for (i = 0; i < len; i++) {
		/* Each mapping that was touched becomes one. */
		if (i == 0 || pages[i].mapping != pages[i - 1].mapping)
			t.numbers++;
		to->pages[dst + i] = (struct page){ t.numbers, pages[i].owner, pages[i].mem, write,
						    pages[i].owner_writable, 0 };
	}
}

static bool cuts(const struct space *s, unsigned at)
{
	return at > 0 && at < PAGES && s->pages[at].mapping && s->pages[at].mapping == s->pages[at - 1].mapping;
}

static void forget_pins(struct space *s, unsigned at, unsigned len)
{
	for (unsigned k = 0; k < ARRAY_SIZE(s->pinned); k++) {
		struct pinned *p = &s->pinned[k];

		if (!p->len || p->at >= at + len || p->at + p->len <= at)
			continue;
		for (unsigned i = p->at; i < p->at + p->len; i++)
			s->pages[i].pins--;
		iopt_unpin_pages(s->iopt, iova_of(p->at), p->len * PG, false);
		p->len = 0;
	}
}

/* The address space tells the access. */
static void access_unmap(struct iopt_access *access, u64 iova, u64 len)
{
	forget_pins(container_of(access, struct space, access), (unsigned)((iova - T_FLAT_START) / PG),
		    (unsigned)(len / PG));
}

static void do_unmap(struct space *s)
{
	unsigned len = 1 + below(12), at = below(PAGES - len), gone = 0;
	long want = 0, ret;
	unsigned i = at;

	/* From below, whole mappings, up to one that is cut. */
	if (cuts(s, at) || cuts(s, at + len)) {
		want = -ENOENT;
	}
	ret = t_unmap(t.fd, s->id, iova_of(at), len * PG);
	if (cuts(s, at)) {
		expect("unmap", ret, want);
		return;
	}
	while (i < at + len) {
		unsigned end = i;

		while (end < PAGES && s->pages[end].mapping == s->pages[i].mapping)
			end++;
		if (s->pages[i].mapping && end > at + len)
			break;
		for (; i < end && i < at + len; i++) {
			gone += s->pages[i].mapping != 0;
			s->pages[i] = (struct page){ 0 };
		}
	}
	if (!want && !gone)
		want = -ENOENT;
	expect("unmap", ret, want);
	if (!want)
		assert_int_equal(t_unmapped, gone * PG);
}

static void do_cut(struct space *s)
{
	unsigned at = 1 + below(PAGES - 1);
	u64 last = iova_of(at) - 1;
	unsigned old = s->pages[at].mapping;
	bool accessed = false;
	long want = 0;

	if (cuts(s, at)) {
		for (unsigned i = 0; i < PAGES; i++)
			accessed |= s->pages[i].mapping == old && s->pages[i].pins;
		want = accessed ? -EINVAL : 0;
	}
	expect("cut", iopt_cut_iova(s->iopt, &last, 1), want);
	if (want || !cuts(s, at))
		return;
	t.numbers++;
	for (unsigned i = at; i < PAGES && s->pages[i].mapping == old; i++)
		s->pages[i].mapping = t.numbers;
}

static void do_reserve(struct space *s)
{
	unsigned len = 1 + below(3), at = below(PAGES - len);
	long want = 0;

	if (below(3) == 0) {
		iopt_remove_reserved_iova(s->iopt, s);
		memset(s->reserved, 0, sizeof(s->reserved));
		return;
	}
	for (unsigned i = at; i < at + len; i++) {
		if (s->pages[i].mapping)
			want = -EADDRINUSE;
	}
	expect("reserve", iopt_reserve_iova(s->iopt, iova_of(at), iova_of(at + len) - 1, s), want);
	for (unsigned i = at; !want && i < at + len; i++)
		s->reserved[i] = true;
}

static void do_domain(struct space *s)
{
	unsigned d = below(DOMAINS);

	if (s->in[d])
		iopt_table_remove_domain(s->iopt, s->domains[d]);
	else
		t_works(iopt_table_add_domain(s->iopt, s->domains[d]));
	s->in[d] = !s->in[d];
}

static void do_pin(struct space *s)
{
	unsigned len = 1 + below(4), at = below(PAGES - len), k;
	bool write = below(2);
	phys_addr_t phys[8];
	long want = 0;

	for (k = 0; k < ARRAY_SIZE(s->pinned) && s->pinned[k].len; k++)
		;
	if (k == ARRAY_SIZE(s->pinned)) {
		forget_pins(s, s->pinned[below(k)].at, 1);
		return;
	}
	for (unsigned i = at; i < at + len && !want; i++) {
		if (!s->pages[i].mapping)
			want = -ENOENT;
		else if (write && !s->pages[i].writable)
			want = -EPERM;
	}
	expect("pin", iopt_pin_pages(s->iopt, iova_of(at), len * PG, phys, write, false), want);
	if (want)
		return;
	s->pinned[k] = (struct pinned){ at, len };
	for (unsigned i = 0; i < len; i++) {
		s->pages[at + i].pins++;
		assert_ptr_equal(phys_host_ptr(phys[i]), t.mem + s->pages[at + i].mem * PG);
	}
}

static void step(void)
{
	struct space *s = &t.space[below(SPACES)];

	switch (below(16)) {
	case 0 ... 3:
		do_map(s);
		break;
	case 4:
		do_map_anywhere(s);
		break;
	case 5 ... 7:
		do_copy(s, &t.space[below(SPACES)]);
		break;
	case 8 ... 10:
		do_unmap(s);
		break;
	case 11:
		do_cut(s);
		break;
	case 12:
		do_reserve(s);
		break;
	case 13:
		do_domain(s);
		break;
	default:
		do_pin(s);
	}
}

/* ---- the run ---- */

static void begin(void)
{
	int seed_given = getenv("SEED") != NULL;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	t.seed = seed_given ? strtoull(getenv("SEED"), NULL, 0) : (u64)now.tv_nsec + (u64)now.tv_sec * 1000003;
	print_message("SEED=%llu\n", (unsigned long long)t.seed);
	t.fd = (int)t_works(t_open());
	t.mem = t_memory(MEM_PAGES * PG);
	for (unsigned i = 0; i < SPACES; i++) {
		struct space *s = &t.space[i];

		memset(s, 0, sizeof(*s));
		s->id = (u32)t_works(t_ioas_alloc(t.fd));
		s->iopt = t_iopt(t.fd, s->id);
		t_works(iopt_disable_large_pages(s->iopt));
		s->access = (struct iopt_access){ .iova_alignment = PG, .unmap = access_unmap };
		t_works(iopt_add_access(s->iopt, &s->access));
		for (unsigned d = 0; d < DOMAINS; d++)
			s->domains[d] = t_flat();
		/* What is chosen lies in what we model, as far as there is room. */
		t_works(iopt_reserve_iova(s->iopt, 0, T_FLAT_START - 1, &t));
	}
}

static void end(void)
{
	for (unsigned i = 0; i < SPACES; i++) {
		struct space *s = &t.space[i];

		forget_pins(s, 0, PAGES);
		iopt_remove_access(s->iopt, &s->access);
		for (unsigned d = 0; d < DOMAINS; d++) {
			if (s->in[d])
				iopt_table_remove_domain(s->iopt, s->domains[d]);
			iommu_domain_free(s->domains[d]);
			s->in[d] = false;
		}
	}
	t_close(t.fd);
	for (unsigned m = 0; m < MEM_PAGES; m++)
		assert_int_equal(t_pins(t.mem + m * PG), 0);
}

static void random_steps(void **state)
{
	unsigned steps = getenv("STEPS") ? (unsigned)atoi(getenv("STEPS")) : 20000;

	begin();
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (i % 8 == 0)
			check_all();
	}
	check_all();
	end();
}

/* A tree that is deep: the gaps in it, and the lowest that fits. */
static void many_areas(void **state)
{
	enum { SLOTS = 1 << 14 };
	static bool taken[SLOTS];
	int fd = (int)t_works(t_open());
	u32 as = (u32)t_works(t_ioas_alloc(fd));
	unsigned at, len;

	memset(taken, 0, sizeof(taken));
	taken[0] = true; /* never chosen */
	for (unsigned i = 0; i < 40000; i++) {
		at = below(SLOTS);
		if (taken[at] && at)
			t_works(t_unmap(fd, as, at * PG, PG));
		else if (!taken[at])
			t_works(t_map(fd, as, T_FIXED | T_RW, t.mem, PG, at * PG));
		taken[at] = !taken[at] || !at;
		if (i % 5000 == 0)
			assert_true(range_tree_valid(&t_iopt(fd, as)->areas));
		if (i % 16)
			continue;
		len = 1 + below(4);
		for (at = 1; at + len <= SLOTS; at++) {
			if (at % (len == 3 ? 4 : len) == 0 && !taken[at] && (len < 2 || !taken[at + 1]) &&
			    (len < 3 || !taken[at + 2]) && (len < 4 || !taken[at + 3]))
				break;
		}
		t_works(t_map(fd, as, T_RW, t.mem, len * PG, 0));
		assert_int_equal(t_iova, at * PG);
		t_works(t_unmap(fd, as, t_iova, len * PG));
	}
	t_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T_TEST(random_steps), T_TEST(many_areas) };

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
