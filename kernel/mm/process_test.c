/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process_test.c - the memory of another process: of a child, by its mem and maps; phys_read() is the device.
 *
 * Parent and child have the same pages at the same addresses, with other bytes in them.
 */
#include "kernel/mm/mm_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/lib/nomem_test.h"

#define NR_SLOTS (PHYS_SLOT_MMIO - PHYS_SLOT_PROCESS)
#define PARENTS 0x11
#define OF_CHILD 0xc0 /* and the page's number */

/* Page by page, of @mem. */
enum { RW, RO = 4, HOLE, NONE, ANON, FILE_FIRST, FILE_LAST, ELSE_FIRST, ELSE_LAST, PAGES };

static u8 *mem;

struct child {
	pid_t pid;
	int order, done;
	struct mm *mm;
};

static u8 *page(int nr)
{
	return mem + nr * PAGE_SIZE;
}

/* ---- the child ---- */

static int as_told(void) /* nothing */
{
	return 0;
}

static int fill_all(void)
{
	for (int i = RW; i < PAGES; i++) {
		if (i == HOLE || i == NONE)
			continue;
		if (i == RO)
			mprotect(page(i), PAGE_SIZE, PROT_READ | PROT_WRITE);
		memset(page(i), OF_CHILD + i, PAGE_SIZE);
		if (i == RO)
			mprotect(page(i), PAGE_SIZE, PROT_READ);
	}
	return munmap(page(HOLE), PAGE_SIZE);
}

static int fill_with_dd(void)
{
	memset(page(RW), 0xdd, 4 * PAGE_SIZE);
	return 0;
}

static int first_byte(void)
{
	return *page(RW);
}

static int byte_of_second(void)
{
	return page(RW + 1)[0];
}

static int unmap_all(void)
{
	return munmap(mem, PAGES * PAGE_SIZE);
}

/* A file that the parent does not have. */
static int map_own_file(void)
{
	int fd = memfd_create("own", MFD_CLOEXEC);
	u8 *at = page(ELSE_FIRST);

	return fd < 0 || ftruncate(fd, 2 * PAGE_SIZE) ||
	       mmap(at, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != at ||
	       !memset(at, 0xee, 2 * PAGE_SIZE);
}

/* The second page of the file at a second address. */
static int map_file_twice(void)
{
	return mremap(page(FILE_LAST), 0, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, page(ELSE_FIRST)) == MAP_FAILED;
}

/* As much as two or three reads of its maps, and never the same for long. */
static void *changes(void *arg)
{
	enum { NR = 200 };
	u8 *at = arg;

	for (unsigned i = 0;; i++) {
		u8 *one = at + i * 7 % NR * 2 * PAGE_SIZE;

		if (munmap(one, PAGE_SIZE) || mmap(one, PAGE_SIZE, i / NR % 2 ? PROT_READ : PROT_NONE,
						   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != one)
			_exit(1);
	}
	return NULL;
}

static int change_mappings(void)
{
	u8 *low = mmap(mem - (1 << 24), 400 * PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	return low == MAP_FAILED || low > mem || pthread_create(&thread, NULL, changes, low);
}

static void __attribute__((noreturn)) childs_life(int order, int done)
{
	int (*fn)(void);

	fill_all();
	while (read(order, &fn, sizeof(fn)) == sizeof(fn) && fn) {
		u8 ret = (u8)fn();

		if (write(done, &ret, 1) != 1)
			break;
	}
	_exit(0);
}

/* ---- the parent ---- */

static int closed_fds;

static void count_close(int fd)
{
	closed_fds += !close(fd);
}

static int tell(const struct child *c, int (*fn)(void))
{
	u8 ret = 0;

	assert_int_equal(write(c->order, &fn, sizeof(fn)), sizeof(fn));
	assert_int_equal(read(c->done, &ret, 1), 1);
	return ret;
}

static struct child begin(void)
{
	struct child c;
	int order[2], done[2], fds[2];
	char path[32];

	assert_int_equal(pipe2(order, O_CLOEXEC), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	c.pid = fork();
	if (!c.pid) {
		close(order[1]);
		close(done[0]);
		childs_life(order[0], done[1]);
	}
	assert_true(c.pid > 0);
	close(order[0]);
	close(done[1]);
	c.order = order[1];
	c.done = done[0];
	tell(&c, as_told);
	snprintf(path, sizeof(path), "/proc/%d/mem", c.pid);
	fds[0] = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", c.pid);
	fds[1] = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	c.mm = mm_of_process(fds[0], fds[1]);
	assert_non_null(c.mm);
	closed_fds = 0;
	return c;
}

static void end(struct child *c)
{
	int (*no_more)(void) = NULL;

	assert_int_equal(write(c->order, &no_more, sizeof(no_more)), sizeof(no_more));
	close(c->order);
	close(c->done);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

/* Nothing is pinned any more. */
static void end_and_drop(struct child *c)
{
	u64 first, last;

	mm_pinned_range(c->mm, &first, &last);
	assert_true(first == ~0ull && last == 0);
	end(c);
	mmdrop(c->mm);
	assert_int_equal(closed_fds, 2);
}

static int try_pin(const struct child *c, int nr, int pages, bool write)
{
	phys_addr_t pa;
	int err = mm_pin(c->mm, (uintptr_t)page(nr), (u64)pages * PAGE_SIZE, write, &pa);

	if (!err)
		mm_unpin(pa, (u64)pages * PAGE_SIZE);
	return err;
}

static phys_addr_t pin(const struct child *c, int nr, int pages)
{
	phys_addr_t pa = 0;

	assert_int_equal(mm_pin(c->mm, (uintptr_t)page(nr), (u64)pages * PAGE_SIZE, true, &pa), 0);
	assert_true(pa >> PHYS_SLOT_SHIFT >= PHYS_SLOT_PROCESS && pa >> PHYS_SLOT_SHIFT < PHYS_SLOT_MMIO);
	assert_int_equal(pa & PHYS_OFFSET_MASK, (uintptr_t)page(nr));
	assert_null(phys_host_ptr(pa));
	return pa;
}

static void unpin(phys_addr_t pa, int pages)
{
	mm_unpin(pa, (u64)pages * PAGE_SIZE);
}

static int keep(const struct child *c, int nr, int pages)
{
	return mm_keep_pinned(c->mm, (uintptr_t)page(nr), (uintptr_t)page(nr + pages) - 1);
}

static void sees(phys_addr_t pa, int byte)
{
	u8 buf[2] = { 0 };

	assert_int_equal(phys_read(pa, buf, 1), 0);
	assert_int_equal(phys_read(pa + PAGE_SIZE - 1, buf + 1, 1), 0);
	assert_int_equal(buf[0], byte);
	assert_int_equal(buf[1], byte);
}

/* ---- pins ---- */

static void what_is_mapped_can_be_pinned(void **state)
{
	struct child c = begin();
	phys_addr_t pa;

	assert_int_equal(try_pin(&c, RW, 1, true), 0);
	assert_int_equal(try_pin(&c, RW, 4, true), 0);
	assert_int_equal(try_pin(&c, RO, 1, false), 0);
	assert_int_equal(try_pin(&c, RW + 3, 2, false), 0);
	assert_int_equal(try_pin(&c, ANON, 2, true), 0); /* across two mappings */
	assert_int_equal(try_pin(&c, ANON, 3, true), 0);

	explain_enabled = true;
	assert_int_equal(try_pin(&c, RO, 1, true), -EFAULT);
	assert_non_null(strstr(explain_take(), "is not mapped for writing"));
	explain_begin();
	assert_int_equal(try_pin(&c, HOLE, 1, false), -EFAULT);
	assert_non_null(strstr(explain_take(), "is not mapped or has no access"));
	explain_enabled = false;
	assert_int_equal(try_pin(&c, RW + 3, 2, true), -EFAULT);
	assert_int_equal(try_pin(&c, RO, 2, false), -EFAULT);
	assert_int_equal(try_pin(&c, NONE, 1, false), -EFAULT);
	assert_int_equal(try_pin(&c, NONE, 2, false), -EFAULT);
	assert_int_equal(mm_pin(c.mm, 1ull << 47, PAGE_SIZE, false, &pa), -EFAULT);
	assert_int_equal(mm_pin(c.mm, (1ull << 47) - PAGE_SIZE, 2 * PAGE_SIZE, false, &pa), -EFAULT);

	/* Here it is mapped still. */
	assert_int_equal(tell(&c, unmap_all), 0);
	assert_int_equal(try_pin(&c, RW, 1, true), -EFAULT);
	end_and_drop(&c);
}

static struct child busy;

static void *pins_again_and_again(void *arg)
{
	phys_addr_t pa;

	for (int i = 0; i < 300; i++) {
		if (mm_pin(busy.mm, (uintptr_t)page(RW), 2 * PAGE_SIZE, true, &pa))
			return arg;
		mm_unpin(pa, 2 * PAGE_SIZE);
	}
	return NULL;
}

/* Several threads read one descriptor of its maps, which change. */
static void its_mappings_change(void **state)
{
	pthread_t threads[3];
	void *bad;

	busy = begin();
	assert_int_equal(tell(&busy, change_mappings), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pins_again_and_again, &busy), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	end_and_drop(&busy);
}

/* Who did not hand over what it takes: its memory cannot be reached. */
static void without_its_maps(void **state)
{
	struct mm *mm = mm_of_process(-1, -1);
	phys_addr_t pa;

	assert_non_null(mm);
	assert_int_equal(mm_pin(mm, (uintptr_t)page(RW), PAGE_SIZE, true, &pa), -EFAULT);
	assert_true(mm_pin_count(mm, (uintptr_t)page(RW)) < 0);
	assert_true(mm_same_page(mm, (uintptr_t)page(RW), (uintptr_t)page(RW + 1)) < 0);
	assert_int_equal(mm_keep_pinned(mm, 0, ~0ull), -ENOMEM);
	mmdrop(mm);
}

static void devices_reach_the_child(void **state)
{
	struct child c = begin();
	phys_addr_t pa = pin(&c, RW, 4), across = pin(&c, ANON, 3);
	u8 buf[3 * PAGE_SIZE];

	for (int i = 0; i < 4; i++)
		sees(pa + i * PAGE_SIZE, OF_CHILD + i);
	assert_int_equal(phys_read(pa + PAGE_SIZE - 3, buf, 6), 0);
	assert_memory_equal(buf, ((u8[]){ OF_CHILD, OF_CHILD, OF_CHILD, OF_CHILD + 1, OF_CHILD + 1, OF_CHILD + 1 }), 6);
	assert_int_equal(phys_read(across, buf, 3 * PAGE_SIZE), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(buf[i * PAGE_SIZE + 5], OF_CHILD + ANON + i);

	assert_int_equal(phys_write(pa + PAGE_SIZE - 3, "\1\2\3\4\5\6", 6), 0);
	assert_int_equal(tell(&c, byte_of_second), 4);
	assert_int_equal(phys_write(pa, "\7", 1), 0);
	assert_int_equal(tell(&c, first_byte), 7);
	assert_int_equal(*page(RW), PARENTS);
	assert_int_equal(*page(RW + 1), PARENTS);

	assert_int_equal(phys_read(pa + HOLE * PAGE_SIZE, buf, 1), -EFAULT);
	assert_int_equal(phys_write(pa + HOLE * PAGE_SIZE, buf, 1), -EFAULT);
	assert_int_equal(phys_read(pa + HOLE * PAGE_SIZE - 1, buf, 2), -EFAULT);
	unpin(pa, 4);
	unpin(across, 3);
	end_and_drop(&c);
	assert_int_equal(phys_read(pa, buf, 1), -EFAULT); /* the slot has no owner */
}

static void pins_are_split(void **state)
{
	struct child c = begin();
	u64 first, last, none = mm_pinned_range(c.mm, &first, &last), some;
	phys_addr_t pa = pin(&c, RW, 4);

	some = mm_pinned_range(c.mm, &first, &last);
	assert_true(some > none);
	assert_true(first <= (uintptr_t)page(RW) && last >= (uintptr_t)page(RW + 4) - 1);
	assert_int_equal(mm_split_pin(pa, 4 * PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(mm_pin_count(c.mm, (uintptr_t)page(RW)), 1);
	assert_int_equal(mm_pin_count(c.mm, (uintptr_t)page(RW + 3)), 1);
	unpin(pa + PAGE_SIZE, 3);
	assert_int_equal(mm_pin_count(c.mm, (uintptr_t)page(RW)), 1);
	assert_int_equal(mm_pin_count(c.mm, (uintptr_t)page(RW + 1)), 0);
	mm_pinned_range(c.mm, &first, &last);
	assert_true(first <= (uintptr_t)page(RW) && last >= (uintptr_t)page(RW + 1) - 1);
	sees(pa, OF_CHILD);
	unpin(pa, 1);
	assert_true(mm_pinned_range(c.mm, &first, &last) > some);
	end_and_drop(&c);
}

/* What is pinned holds the process's memory. */
static void the_last_pin_drops(void **state)
{
	struct child c = begin();
	phys_addr_t pa = pin(&c, RW, 2);

	assert_ptr_equal(mmgrab(c.mm), c.mm);
	mmdrop(c.mm);
	mmdrop(c.mm);
	sees(pa, OF_CHILD);
	assert_int_equal(mm_split_pin(pa, 2 * PAGE_SIZE, PAGE_SIZE), 0);
	unpin(pa, 1);
	assert_int_equal(closed_fds, 0);
	sees(pa + PAGE_SIZE, OF_CHILD + 1);
	unpin(pa + PAGE_SIZE, 1);
	assert_int_equal(closed_fds, 2);
	end(&c);
	mmdrop(NULL);
	assert_ptr_equal(mmgrab(mm_self()), mm_self());
	mmdrop(mm_self());
	mmdrop(mm_self());
}

static void pages_are_known_and_counted(void **state)
{
	struct child c = begin();
	const u64 file = (uintptr_t)page(FILE_LAST), again = (uintptr_t)page(ELSE_FIRST);
	phys_addr_t pa[3];

	assert_int_equal(mm_same_page(c.mm, file, again), 0);
	assert_int_equal(tell(&c, map_file_twice), 0);
	assert_int_equal(mm_same_page(c.mm, file, again), 1);
	assert_int_equal(mm_same_page(mm_self(), file, again), 0);
	assert_int_equal(mm_same_page(c.mm, (uintptr_t)page(RW), (uintptr_t)page(RW) + 5), 1);
	assert_int_equal(mm_same_page(c.mm, (uintptr_t)page(RW), (uintptr_t)page(RW + 1)), 0);
	assert_int_equal(mm_same_page(c.mm, (uintptr_t)page(HOLE), file), 0);

	pa[0] = pin(&c, FILE_FIRST, 2);
	pa[1] = pin(&c, ELSE_FIRST, 1);
	pa[2] = pin(&c, ELSE_FIRST, 1);
	assert_int_equal(mm_pin_count(c.mm, file), 3);
	assert_int_equal(mm_pin_count(c.mm, again), 3);
	assert_int_equal(mm_pin_count(c.mm, file - PAGE_SIZE), 1);
	assert_int_equal(mm_pin_count(mm_self(), file), 0);
	unpin(pa[2], 1);
	assert_int_equal(mm_pin_count(c.mm, file), 2);
	unpin(pa[0], 2);
	unpin(pa[1], 1);
	assert_int_equal(mm_pin_count(c.mm, file), 0);
	end_and_drop(&c);
}

/* ---- pages that leave ---- */

static void generations_have_slots(void **state)
{
	struct child c = begin();
	phys_addr_t old = pin(&c, RW, 2), new, third;

	assert_int_equal(keep(&c, RW, 1), 0);
	tell(&c, fill_with_dd);
	new = pin(&c, RW, 1);
	assert_int_not_equal(old >> PHYS_SLOT_SHIFT, new >> PHYS_SLOT_SHIFT);
	sees(old, OF_CHILD);
	sees(new, 0xdd);
	assert_int_equal(mm_pin_count(c.mm, (uintptr_t)page(RW)), 2);
	/* Beside what was kept the first slot will do. */
	third = pin(&c, RW + 1, 1);
	assert_int_equal(third, old + PAGE_SIZE);
	unpin(third, 1);
	unpin(old, 2);
	third = pin(&c, RW, 1);
	assert_int_equal(third, old);
	sees(third, 0xdd);
	unpin(third, 1);
	unpin(new, 1);
	end_and_drop(&c);
}

static void a_part_is_kept(void **state)
{
	struct child c = begin();
	phys_addr_t pa = pin(&c, RW, 4);
	u8 buf[4 * PAGE_SIZE];

	assert_int_equal(keep(&c, RW + 1, 2), 0);
	tell(&c, fill_with_dd);
	sees(pa, 0xdd);
	sees(pa + PAGE_SIZE, OF_CHILD + 1);
	sees(pa + 2 * PAGE_SIZE, OF_CHILD + 2);
	sees(pa + 3 * PAGE_SIZE, 0xdd);
	assert_int_equal(phys_read(pa + 5, buf, 4 * PAGE_SIZE - 10), 0);
	assert_int_equal(buf[PAGE_SIZE - 6], 0xdd);
	assert_int_equal(buf[PAGE_SIZE - 5], OF_CHILD + 1);
	assert_int_equal(buf[3 * PAGE_SIZE - 6], OF_CHILD + 2);
	assert_int_equal(buf[3 * PAGE_SIZE - 5], 0xdd);

	/* The copy is the device's alone. */
	memset(buf, 0x77, sizeof(buf));
	assert_int_equal(phys_write(pa, buf, 4 * PAGE_SIZE), 0);
	sees(pa + PAGE_SIZE, 0x77);
	assert_int_equal(tell(&c, first_byte), 0x77);
	assert_int_equal(tell(&c, byte_of_second), 0xdd);

	/* The rest follows; what is kept already is left alone, and what nobody pinned is not kept. */
	assert_int_equal(mm_keep_pinned(c.mm, 0, ~0ull), 0);
	assert_int_equal(tell(&c, unmap_all), 0);
	assert_int_equal(phys_read(pa, buf, 4 * PAGE_SIZE), 0);
	assert_int_equal(buf[0], 0x77);
	assert_int_equal(phys_read(pa + 4 * PAGE_SIZE, buf, 1), -EFAULT);
	unpin(pa, 4);
	assert_int_equal(phys_read(pa, buf, 1), -EFAULT);
	end_and_drop(&c);
}

static void half_a_pin_is_dropped(void **state)
{
	struct child c = begin();
	phys_addr_t pa = pin(&c, RW, 4);
	u8 byte;

	assert_int_equal(mm_split_pin(pa, 4 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	assert_int_equal(keep(&c, RW, 4), 0);
	assert_int_equal(tell(&c, unmap_all), 0);
	unpin(pa, 2);
	assert_int_equal(phys_read(pa, &byte, 1), -EFAULT);
	sees(pa + 2 * PAGE_SIZE, OF_CHILD + 2);
	unpin(pa + 2 * PAGE_SIZE, 2);
	end_and_drop(&c);
}

static void files_stay_shared(void **state)
{
	struct child c = begin();
	phys_addr_t file = pin(&c, ANON, 3), own;

	assert_int_equal(tell(&c, map_own_file), 0);
	own = pin(&c, ELSE_FIRST, 2);
	assert_int_equal(mm_keep_pinned(c.mm, 0, ~0ull), 0);
	assert_int_equal(tell(&c, unmap_all), 0);

	/* The parent has the same pages, and the anonymous one before them its own. */
	memset(page(FILE_FIRST), 0x21, 2 * PAGE_SIZE);
	sees(file, OF_CHILD + ANON);
	sees(file + PAGE_SIZE, 0x21);
	sees(file + 2 * PAGE_SIZE, 0x21);
	assert_int_equal(phys_write(file + 2 * PAGE_SIZE - 1, "\x22\x22", 2), 0);
	assert_int_equal(page(FILE_LAST)[-1], 0x22);
	assert_int_equal(page(FILE_LAST)[0], 0x22);
	assert_int_equal(*page(ANON), PARENTS);

	/* A file that it has not is copied. */
	sees(own, 0xee);
	sees(own + PAGE_SIZE, 0xee);
	assert_int_equal(phys_write(own, "\x33", 1), 0);
	assert_int_equal(*page(ELSE_FIRST), PARENTS);
	unpin(file, 3);
	unpin(own, 2);
	assert_int_equal(*page(FILE_FIRST), 0x21); /* the second mapping went, not the first */
	end_and_drop(&c);
}

static void the_process_ends(bool kept)
{
	struct child c = begin();
	phys_addr_t pa = pin(&c, RW, 2);
	u8 byte;

	if (kept)
		assert_int_equal(mm_keep_pinned(c.mm, 0, ~0ull - 1), 0);
	end(&c);
	if (kept) {
		sees(pa, OF_CHILD);
		assert_int_equal(phys_write(pa, "\x44", 1), 0);
		assert_int_equal(phys_read(pa, &byte, 1), 0);
		assert_int_equal(byte, 0x44);
	} else {
		assert_int_equal(phys_read(pa, &byte, 1), -EFAULT);
		assert_int_equal(phys_write(pa, &byte, 1), -EFAULT);
	}
	assert_int_equal(mm_pin_count(c.mm, (uintptr_t)page(RW)), -ESRCH);
	assert_int_equal(try_pin(&c, RW, 1, false), -EFAULT);
	unpin(pa, 2);
	mmdrop(c.mm);
	assert_int_equal(closed_fds, 2);
}

static void it_said_that_it_ends(void **state)
{
	the_process_ends(true);
}

static void it_did_not_say_so(void **state)
{
	the_process_ends(false);
}

/* ---- what runs out ---- */

static void slots_run_out(void **state)
{
	struct child a = begin(), b = begin();
	phys_addr_t pas[NR_SLOTS], pa;

	for (int i = 0; i < NR_SLOTS; i++) {
		pas[i] = pin(&a, RW, 1);
		assert_int_equal(keep(&a, RW, 1), 0);
	}
	for (int i = 1; i < NR_SLOTS; i++)
		assert_int_not_equal(pas[i], pas[i - 1]);
	explain_enabled = true;
	assert_int_equal(try_pin(&a, RW, 1, true), -ENOMEM);
	assert_non_null(strstr(explain_take(), "in all 15 slots"));
	explain_enabled = false;
	assert_int_equal(try_pin(&b, RW, 1, true), -ENOMEM);
	assert_int_equal(try_pin(&a, RW + 1, 1, true), 0); /* elsewhere there is room */

	/* One generation less. */
	unpin(pas[4], 1);
	pa = pin(&a, RW, 1);
	assert_int_equal(pa, pas[4]);
	unpin(pa, 1);
	for (int i = 0; i < NR_SLOTS; i++)
		if (i != 4)
			unpin(pas[i], 1);
	assert_int_equal(try_pin(&b, RW, 1, true), -ENOMEM);
	end_and_drop(&a);

	/* With their owner they come back, all of them. */
	for (int i = 0; i < NR_SLOTS; i++) {
		pas[i] = pin(&b, RW, 1);
		assert_int_equal(keep(&b, RW, 1), 0);
	}
	for (int i = 0; i < NR_SLOTS; i++)
		unpin(pas[i], 1);
	closed_fds = 0;
	end_and_drop(&b);
}

static void no_memory(void **state)
{
	struct child c = begin();
	u32 n = 0, failed = 0;
	phys_addr_t pa = 0;
	struct mm *mm;
	int err;

	do {
		nomem_begin(++n);
		mm = mm_of_process(-1, -1);
		failed += !mm;
		mmdrop(mm);
	} while (nomem_end());
	assert_int_equal(failed, 1);

	n = 0;
	do {
		nomem_begin(++n);
		err = mm_pin(c.mm, (uintptr_t)page(RW), 4 * PAGE_SIZE, true, &pa);
		assert_int_equal(err, err ? -ENOMEM : 0);
		failed += err != 0;
	} while (nomem_end());
	assert_true(!err && failed >= 3);

	nomem_begin(1);
	assert_int_equal(mm_split_pin(pa, 4 * PAGE_SIZE, PAGE_SIZE), -ENOMEM);
	assert_true(nomem_end());
	assert_int_equal(mm_pin_count(c.mm, (uintptr_t)page(RW + 1)), 1);

	n = failed = 0;
	do {
		nomem_begin(++n);
		err = keep(&c, RW, 4);
		assert_int_equal(err, err ? -ENOMEM : 0);
		failed += err != 0;
		if (err)
			sees(pa, OF_CHILD); /* nothing has changed */
	} while (nomem_end());
	assert_true(!err && failed >= 3);
	assert_int_equal(tell(&c, unmap_all), 0);
	sees(pa + 3 * PAGE_SIZE, OF_CHILD + 3);
	unpin(pa, 4);
	end_and_drop(&c);
}

static int setup(void **state)
{
	static const struct vma_file_ops ops = { fake_get, fake_put, count_close };
	int fd = memfd_create("file", MFD_CLOEXEC);

	vma_file_register(&ops);
	mem = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED || fd < 0 || ftruncate(fd, 2 * PAGE_SIZE) ||
	    mmap(page(FILE_FIRST), 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -1;
	close(fd);
	memset(mem, PARENTS, PAGES * PAGE_SIZE);
	return mprotect(page(RO), PAGE_SIZE, PROT_READ) || mprotect(page(NONE), PAGE_SIZE, PROT_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(what_is_mapped_can_be_pinned),
		GUARDED_TEST(its_mappings_change),
		GUARDED_TEST(without_its_maps),
		GUARDED_TEST(devices_reach_the_child),
		GUARDED_TEST(pins_are_split),
		GUARDED_TEST(the_last_pin_drops),
		GUARDED_TEST(pages_are_known_and_counted),
		GUARDED_TEST(generations_have_slots),
		GUARDED_TEST(a_part_is_kept),
		GUARDED_TEST(half_a_pin_is_dropped),
		GUARDED_TEST(files_stay_shared),
		GUARDED_TEST(it_said_that_it_ends),
		GUARDED_TEST(it_did_not_say_so),
		GUARDED_TEST(slots_run_out),
		GUARDED_TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
