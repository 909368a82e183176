/* SPDX-License-Identifier: BSD-3-Clause */
/* mm_test.c - copies, pins and the memory bus: what is there works, what is not is EFAULT. */
#include "kernel/mm/mm_test.h"

#include <unistd.h>

#include "kernel/lib/task.h"

#define BIG_PAGES 64 /* above the limit up to which pages are touched one by one */

static u8 *map_pages(size_t pages, int prot)
{
	u8 *p = mmap(NULL, pages * PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* ---- copies ---- */

static void copies_ordinary_memory(void **state)
{
	u8 *p = map_pages(2, PROT_READ | PROT_WRITE);
	char buf[16] = "";

	assert_int_equal(copy_to_user(p, "hello", 6), 0);
	assert_int_equal(copy_from_user(buf, p, 6), 0);
	assert_string_equal(buf, "hello");
	assert_int_equal(clear_user(p, 3), 0);
	assert_int_equal(p[2], 0);
	assert_int_equal(p[3], 'l');
	assert_int_equal(copy_from_user(buf, NULL, 0), 0);
	assert_int_equal(copy_to_user(NULL, buf, 0), 0);
	assert_int_equal(clear_user(NULL, 0), 0);
	munmap(p, 2 * PAGE_SIZE);
}

static void bad_memory_is_efault(void **state)
{
	u8 *ro = map_pages(1, PROT_READ);
	char buf[16] = "";

	explain_enabled = true;
	assert_int_equal(copy_from_user(buf, NULL, 1), -EFAULT);
	assert_non_null(explain_take());
	assert_int_equal(copy_to_user(NULL, buf, 8), -EFAULT);
	assert_int_equal(copy_to_user(ro, buf, 8), -EFAULT);
	assert_int_equal(copy_from_user(buf, ro, 8), 0);
	assert_int_equal(clear_user(ro, 8), -EFAULT);
	/* Never a program's: above 2^47, around the end. */
	assert_int_equal(copy_from_user(buf, (void *)(1ul << 47), 1), -EFAULT);
	assert_int_equal(copy_from_user(buf, (void *)((1ul << 47) - 1), 2), -EFAULT);
	assert_int_equal(copy_to_user((void *)-4ul, buf, 8), -EFAULT);
	assert_int_equal(clear_user((void *)-4ul, 8), -EFAULT);
	assert_int_equal(clear_user((void *)(1ul << 47), 8), -EFAULT);
	munmap(ro, PAGE_SIZE);
	explain_enabled = false;
}

static void strings(void **state)
{
	u8 *p = map_pages(1, PROT_READ | PROT_WRITE);
	char buf[16];

	strcpy((char *)p, "0000:01:00.0");
	assert_int_equal(strncpy_from_user(buf, (char *)p, sizeof(buf)), 12);
	assert_string_equal(buf, "0000:01:00.0");
	assert_int_equal(strncpy_from_user(buf, (char *)p, 12), -ENAMETOOLONG);
	memset(p, 'x', PAGE_SIZE);
	munmap(p, PAGE_SIZE);
	assert_int_equal(strncpy_from_user(buf, (char *)p, sizeof(buf)), -EFAULT);
	assert_int_equal(strncpy_from_user(buf, (char *)(1ul << 50), sizeof(buf)), -EFAULT);
}

static void copies_reach_trapped_bars(void **state)
{
	u64 value = 0x1122334455667788;
	u64 back = 0;
	void *addr;

	map_bar(BAR_BYTES, 0, PROT_READ | PROT_WRITE, &addr);
	assert_int_equal(copy_to_user((u8 *)addr + 0x20, &value, 8), 0);
	assert_int_equal(copy_from_user(&back, (u8 *)addr + 0x20, 8), 0);
	assert_string_equal(bar.log, "w8@20 r8@20 ");
	assert_int_equal(back, value);
	assert_int_equal(clear_user((u8 *)addr + 0x20, 4), 0);
	assert_int_equal(copy_from_user(&back, (u8 *)addr + 0x20, 8), 0);
	assert_int_equal(back, value >> 32 << 32);
	bar.fail_with = -EFAULT;
	assert_int_equal(copy_from_user(&back, addr, 8), -EFAULT);
	assert_int_equal(copy_to_user(addr, &back, 8), -EFAULT);
	unmap_bar(addr, BAR_BYTES);
}

static void copies_cross_into_and_out_of_bars(void **state)
{
	u8 *p = map_pages(3, PROT_READ | PROT_WRITE);
	struct vm_area *vma;
	u8 buf[32];
	u8 back[32];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (u8)(i + 1);
	/* The middle page is a BAR at file offset 0x1000. */
	mprotect(p + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	vma = vma_alloc(NULL, (uintptr_t)p + PAGE_SIZE, PAGE_SIZE, 0x1000, PROT_READ | PROT_WRITE);
	vma->ops = &bar_vm_ops;
	vma_insert(mm_self(), vma);
	bar.fail_with = 0;

	bar.log[0] = '\0';
	assert_int_equal(copy_to_user(p + PAGE_SIZE - 8, buf, 16), 0);
	assert_string_equal(bar.log, "w8@1000 ");
	assert_memory_equal(p + PAGE_SIZE - 8, buf, 8);
	assert_memory_equal(bar.mem + 0x1000, buf + 8, 8);
	assert_int_equal(copy_from_user(back, p + PAGE_SIZE - 8, 16), 0);
	assert_memory_equal(back, buf, 16);

	bar.log[0] = '\0';
	assert_int_equal(copy_to_user(p + 2 * PAGE_SIZE - 4, buf, 8), 0);
	assert_string_equal(bar.log, "w4@1ffc ");
	assert_memory_equal(p + 2 * PAGE_SIZE, buf + 4, 4);

	bar.log[0] = '\0';
	assert_int_equal(clear_user(p, 3 * PAGE_SIZE), 0);
	assert_int_equal(bar.mem[0x1000], 0);
	assert_int_equal(p[2 * PAGE_SIZE], 0);

	/* Beside the mapping, but under the hint. */
	munmap(p + 2 * PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(copy_to_user(p + 2 * PAGE_SIZE - 4, buf, 8), -EFAULT);
	assert_int_equal(vma_remove(mm_self(), (uintptr_t)p, 3 * PAGE_SIZE), 0);
	munmap(p, 2 * PAGE_SIZE);
}

static void copies_respect_the_protection_of_a_bar(void **state)
{
	u32 value = 1;
	void *addr;

	map_bar(BAR_BYTES, 0, PROT_READ, &addr);
	assert_int_equal(copy_from_user(&value, addr, 4), 0);
	assert_int_equal(copy_to_user(addr, &value, 4), -EFAULT);
	assert_int_equal(vma_protect(mm_self(), (uintptr_t)addr, PAGE_SIZE, PROT_NONE), 0);
	assert_int_equal(copy_from_user(&value, addr, 4), -EFAULT);
	assert_int_equal(copy_from_user(&value, (u8 *)addr + PAGE_SIZE, 4), 0);
	unmap_bar(addr, BAR_BYTES);
}

/* ---- calls of others ---- */

/* A task whose memory is @bytes at THEIRS, and a BAR before that. */
#define THEIRS 0x5000000ull

static struct {
	u8 bytes[3 * PAGE_SIZE];
	unsigned copies;
	struct vm_area *bar; /* at THEIRS - PAGE_SIZE; NULL: none */
} theirs;

static bool is_theirs(u64 uva, size_t len)
{
	return uva >= THEIRS && len <= sizeof(theirs.bytes) && uva - THEIRS <= sizeof(theirs.bytes) - len;
}

static int theirs_copy(struct task *task, u64 uva, void *buf, size_t len, bool to_user)
{
	u8 *at;

	assert_ptr_equal(task, current_task);
	theirs.copies++;
	if (!is_theirs(uva, len))
		return -EFAULT;
	at = theirs.bytes + (uva - THEIRS);
	memcpy(to_user ? (void *)at : buf, to_user ? buf : (void *)at, len);
	return 0;
}

static long theirs_strncpy(struct task *task, char *dst, u64 uva, size_t size)
{
	return is_theirs(uva, 1) ? guard_strncpy(dst, (char *)theirs.bytes + (uva - THEIRS), size) : -EFAULT;
}

static struct vm_area *theirs_find_area(struct task *task, u64 uva, u64 last)
{
	return theirs.bar && last >= theirs.bar->start && uva <= theirs.bar->last ? vma_get(theirs.bar) : NULL;
}

static const struct task_ops theirs_ops = {
	.copy = theirs_copy, .strncpy = theirs_strncpy, .find_area = theirs_find_area,
};

static void copies_are_the_callers(void **state)
{
	struct task task = { .ops = &theirs_ops, .mm = mm_of_process(-1, -1) };
	u8 *own = map_pages(1, PROT_READ | PROT_WRITE);
	char buf[16] = "";

	memset(&theirs, 'x', sizeof(theirs));
	theirs.bar = NULL;
	theirs.copies = 0;
	assert_ptr_equal(current_mm(), mm_self());
	current_task = &task;
	assert_ptr_equal(current_mm(), task.mm);
	assert_int_equal(copy_to_user((void *)THEIRS, "hello", 6), 0);
	assert_int_equal(copy_from_user(buf, (void *)(THEIRS + 1), 5), 0);
	assert_string_equal(buf, "ello");
	assert_int_equal(strncpy_from_user(buf, (void *)THEIRS, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(clear_user((void *)(THEIRS + 6), 2 * PAGE_SIZE), 0);
	assert_int_equal(theirs.bytes[5], 0);
	assert_int_equal(theirs.bytes[6], 0);
	assert_int_equal(theirs.bytes[5 + 2 * PAGE_SIZE], 0);
	assert_int_equal(theirs.bytes[6 + 2 * PAGE_SIZE], 'x');

	/* What is mapped here alone is not the caller's, and what is nobody's is not asked for. */
	assert_int_equal(copy_to_user(own, "hello", 6), -EFAULT);
	assert_int_equal(copy_from_user(buf, own, 1), -EFAULT);
	assert_int_equal(clear_user(own, 1), -EFAULT);
	assert_int_equal(strncpy_from_user(buf, (char *)own, sizeof(buf)), -EFAULT);
	assert_int_equal(strncpy_from_user(buf, (void *)THEIRS, 5), -ENAMETOOLONG);
	theirs.copies = 0;
	assert_int_equal(copy_from_user(buf, (void *)(1ul << 47), 1), -EFAULT);
	assert_int_equal(clear_user((void *)-4ul, 8), -EFAULT);
	assert_int_equal(copy_from_user(buf, NULL, 0), 0);
	assert_int_equal(strncpy_from_user(buf, (char *)(1ul << 50), sizeof(buf)), -EFAULT);
	assert_int_equal(theirs.copies, 0);

	current_task = NULL;
	assert_int_equal(copy_to_user(own, "hello", 6), 0);
	assert_int_equal(*own, 'h');
	mmdrop(task.mm);
	munmap(own, PAGE_SIZE);
}

/* BARs that the caller has mapped can be pinned while its call lasts. */
static void pins_bars_of_the_caller(void **state)
{
	struct task task = { .ops = &theirs_ops, .mm = mm_of_process(-1, -1) };
	const u64 start = THEIRS - 2 * PAGE_SIZE;
	phys_addr_t pa;

	theirs.bar = vma_alloc(NULL, start, 2 * PAGE_SIZE, 0x3000, PROT_READ);
	theirs.bar->ops = &bar_vm_ops;
	bar.fail_with = 0;
	current_task = &task;
	assert_int_equal(mm_pin(task.mm, start + PAGE_SIZE, PAGE_SIZE, false, &pa), 0);
	assert_int_equal(pa, BAR_PHYS + 0x4000);
	mm_unpin(pa, PAGE_SIZE);
	assert_int_equal(mm_split_pin(pa, 2 * PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(mm_pin(task.mm, start, PAGE_SIZE, true, &pa), -EFAULT);
	assert_int_equal(mm_pin(task.mm, start, 3 * PAGE_SIZE, false, &pa), -EFAULT); /* half of it */
	bar.fail_with = -EFAULT;
	assert_int_equal(mm_pin(task.mm, start, PAGE_SIZE, false, &pa), -EFAULT);
	bar.fail_with = 0;
	current_task = NULL;
	assert_int_equal(mm_pin(task.mm, start, PAGE_SIZE, false, &pa), -EFAULT);
	assert_int_equal(atomic_load(&theirs.bar->refs), 1);
	vma_put(theirs.bar);
	theirs.bar = NULL;
	mmdrop(task.mm);
}

/* ---- pins ---- */

static void pin_works(u8 *p, size_t pages, bool write)
{
	phys_addr_t pa = 0;

	explain_begin();
	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p, pages * PAGE_SIZE, write, &pa), 0);
	assert_int_equal(pa, 1ull << PHYS_SLOT_SHIFT | (uintptr_t)p);
	assert_null(explain_take());
	mm_unpin(pa, pages * PAGE_SIZE);
}

static void pin_fails(const u8 *p, size_t pages, bool write, int err)
{
	phys_addr_t pa = 42;

	explain_begin();
	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p, pages * PAGE_SIZE, write, &pa), err);
	assert_int_equal(pa, 42);
	assert_non_null(explain_take());
}

/* Each case with few pages (touched) and with many (madvise). */
static const size_t pin_sizes[] = { 1, 16, 17, BIG_PAGES };

static void pins_anonymous_memory(void **state)
{
	explain_enabled = true;
	for (size_t i = 0; i < ARRAY_SIZE(pin_sizes); i++) {
		u8 *p = map_pages(pin_sizes[i], PROT_READ | PROT_WRITE);

		pin_works(p, pin_sizes[i], false); /* never touched: the zero page will do */
		pin_works(p, pin_sizes[i], true);
		munmap(p, pin_sizes[i] * PAGE_SIZE);
		pin_fails(p, pin_sizes[i], false, -EFAULT);
	}
}

static void pins_by_protection(void **state)
{
	explain_enabled = true;
	for (size_t i = 0; i < ARRAY_SIZE(pin_sizes); i++) {
		size_t pages = pin_sizes[i];
		u8 *p = map_pages(pages, PROT_READ);

		pin_works(p, pages, false);
		pin_fails(p, pages, true, -EFAULT);
		assert_non_null(strstr(explain_take(), "read-only"));
		mprotect(p, pages * PAGE_SIZE, PROT_NONE);
		pin_fails(p, pages, false, -EFAULT);
		pin_fails(p, pages, true, -EFAULT);
		/* Only the last page may not be written. */
		mprotect(p, pages * PAGE_SIZE, PROT_READ | PROT_WRITE);
		mprotect(p + (pages - 1) * PAGE_SIZE, PAGE_SIZE, PROT_READ);
		pin_works(p, pages, false);
		pin_fails(p, pages, true, -EFAULT);
		munmap(p, pages * PAGE_SIZE);
	}
}

static void holes_are_efault(void **state)
{
	explain_enabled = true;
	for (size_t i = 1; i < ARRAY_SIZE(pin_sizes); i++) {
		size_t pages = pin_sizes[i];
		u8 *p = map_pages(pages, PROT_READ | PROT_WRITE);

		munmap(p + pages / 2 * PAGE_SIZE, PAGE_SIZE);
		pin_fails(p, pages, false, -EFAULT);
		pin_fails(p, pages, true, -EFAULT);
		munmap(p, pages * PAGE_SIZE);
	}
}

static void files_end(void **state)
{
	explain_enabled = true;
	for (size_t i = 0; i < ARRAY_SIZE(pin_sizes); i++) {
		size_t pages = pin_sizes[i];
		int fd = memfd_create("pin", MFD_CLOEXEC);
		u8 *p = mmap(NULL, (pages + 1) * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		assert_ptr_not_equal(p, MAP_FAILED);
		assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE_SIZE)), 0);
		pin_works(p, pages, true);
		pin_fails(p, pages + 1, false, -EFAULT);
		pin_fails(p, pages + 1, true, -EFAULT);
		munmap(p, (pages + 1) * PAGE_SIZE);
		close(fd);
	}
}

static void pin_breaks_copy_on_write(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pin_sizes); i++) {
		size_t pages = pin_sizes[i];
		int fd = memfd_create("cow", MFD_CLOEXEC);
		u8 byte = 1;
		u8 *p;

		assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE_SIZE)), 0);
		p = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		pin_works(p, pages, true);
		/* The file's page is no longer the program's. */
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)((pages - 1) * PAGE_SIZE)), 1);
		assert_int_equal(p[(pages - 1) * PAGE_SIZE], 0);
		munmap(p, pages * PAGE_SIZE);
		close(fd);
	}
}

static void addresses_that_are_no_programs(void **state)
{
	explain_enabled = true;
	pin_fails((u8 *)(1ul << 47), 1, false, -EFAULT);
	pin_fails((u8 *)((1ul << 47) - PAGE_SIZE), 2, false, -EFAULT);
	pin_fails((u8 *)-PAGE_SIZE, 2, true, -EFAULT);
	pin_fails(NULL, 1, false, -EFAULT);
}

static void pins_bars(void **state)
{
	phys_addr_t pa = 0;
	void *addr;
	u8 *p;

	explain_enabled = true;
	map_bar(4 * PAGE_SIZE, 0x2000, PROT_READ | PROT_WRITE, &addr);
	p = addr;
	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p, 4 * PAGE_SIZE, true, &pa), 0);
	assert_int_equal(pa, BAR_PHYS + 0x2000);
	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p + PAGE_SIZE, PAGE_SIZE, true, &pa), 0);
	assert_int_equal(pa, BAR_PHYS + 0x3000);
	/* Not a mix of a BAR and what is beside it. */
	pin_fails(p, 5, true, -EFAULT);
	pin_fails(p - PAGE_SIZE, 2, true, -EFAULT);
	bar.fail_with = -EFAULT;
	pin_fails(p, 1, true, -EFAULT);
	bar.fail_with = 0;
	assert_int_equal(vma_protect(mm_self(), (uintptr_t)p, PAGE_SIZE, PROT_READ), 0);
	pin_fails(p, 1, true, -EFAULT);
	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p, PAGE_SIZE, false, &pa), 0);
	unmap_bar(addr, 4 * PAGE_SIZE);
}

/* ---- the bus ---- */

static int window_read(void *ctx, u64 off, void *buf, size_t len)
{
	if (off >= 0x1000)
		return -EFAULT;
	memset(buf, (int)off, len);
	return 0;
}

static u64 window_written;

static int window_write(void *ctx, u64 off, const void *buf, size_t len)
{
	assert_ptr_equal(ctx, &window_written);
	window_written = off;
	return 0;
}

static void bus_reaches_memory(void **state)
{
	u8 *p = map_pages(1, PROT_READ | PROT_WRITE);
	phys_addr_t pa;
	u64 value = 7;

	assert_int_equal(mm_pin(mm_self(), (uintptr_t)p, PAGE_SIZE, true, &pa), 0);
	assert_int_equal(phys_write(pa + 8, &value, 8), 0);
	assert_int_equal(p[8], 7);
	p[16] = 9;
	assert_int_equal(phys_read(pa + 16, &value, 8), 0);
	assert_int_equal(value, 9);
	assert_ptr_equal(phys_host_ptr(pa), p);
	assert_ptr_equal(phys_host_ptr(virt_to_phys(p)), p);
	assert_int_equal(phys_read(virt_to_phys(p + 16), &value, 8), 0);
	assert_int_equal(phys_read(pa, &value, 0), 0);
	/* The program took it away: a fault, not a crash. */
	munmap(p, PAGE_SIZE);
	assert_int_equal(phys_write(pa, &value, 8), -EFAULT);
	assert_int_equal(phys_read(pa, &value, 8), -EFAULT);
}

static void bus_reaches_slots(void **state)
{
	static const struct phys_slot_ops ops = { window_read, window_write };
	phys_addr_t window = (u64)PHYS_SLOT_MMIO << PHYS_SLOT_SHIFT;
	phys_addr_t nobody = 5ull << PHYS_SLOT_SHIFT;
	u8 buf[8] = { 0 };

	assert_int_equal(phys_read(nobody, buf, 8), -EFAULT);
	assert_int_equal(phys_write(nobody, buf, 8), -EFAULT);
	assert_null(phys_host_ptr(nobody));
	phys_slot_register(PHYS_SLOT_MMIO, &ops, &window_written);
	phys_slot_register(PHYS_SLOTS, &ops, NULL);
	assert_int_equal(phys_read(window + 0x44, buf, 8), 0);
	assert_int_equal(buf[7], 0x44);
	assert_int_equal(phys_read(window + 0x2000, buf, 8), -EFAULT);
	assert_int_equal(phys_write(window + 0x123, buf, 8), 0);
	assert_int_equal(window_written, 0x123);
	assert_null(phys_host_ptr(window));
	/* Above all slots, and across two. */
	assert_int_equal(phys_read(1ull << 52, buf, 8), -EFAULT);
	assert_int_equal(phys_read(~0ull, buf, 8), -EFAULT);
	assert_int_equal(phys_write(window - 4, buf, 8), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(copies_ordinary_memory),
		GUARDED_TEST(bad_memory_is_efault),
		GUARDED_TEST(strings),
		GUARDED_TEST(copies_reach_trapped_bars),
		GUARDED_TEST(copies_cross_into_and_out_of_bars),
		GUARDED_TEST(copies_respect_the_protection_of_a_bar),
		GUARDED_TEST(copies_are_the_callers),
		GUARDED_TEST(pins_bars_of_the_caller),
		GUARDED_TEST(pins_anonymous_memory),
		GUARDED_TEST(pins_by_protection),
		GUARDED_TEST(holes_are_efault),
		GUARDED_TEST(files_end),
		GUARDED_TEST(pin_breaks_copy_on_write),
		GUARDED_TEST(addresses_that_are_no_programs),
		GUARDED_TEST(pins_bars),
		GUARDED_TEST(bus_reaches_memory),
		GUARDED_TEST(bus_reaches_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
