/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate_test.c - state leaves one device and enters another; streams that are not whole or not for the
 * device are refused; the log of DMA writes against a plain list of what was written.
 *
 * edu serves as the model: it has registers, jobs that take time, DMA and both kinds of interrupt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hw/core/hw_core.h"
#include "hw/core/hw_fake.h"
#include "hw/edu/regs.h"

#define COMMAND 0x04
#define MSI_CAP 0x40

extern const struct hw_model edu_model, root_port_model;

static struct hw_device *create(const struct hw_model *model, const char *delay_us)
{
	const struct hw_option_kv options[] = { { "delay_us", delay_us }, { 0 } };
	struct hw_device *hw = hw_device_create(model, "0000:01:00.0", delay_us ? options : NULL, &fake_ops, &fake,
						(struct hw_iommu *)fake_ram, 0x100);

	assert_false(IS_ERR(hw));
	hw_config_write(hw, COMMAND, 2, 6);
	return hw;
}

static void msi_on(void *hw)
{
	hw_config_write(hw, MSI_CAP + 4, 4, 0xfee01000);
	hw_config_write(hw, MSI_CAP + 12, 2, 0x4320);
	hw_config_write(hw, MSI_CAP + 2, 2, 1);
}

static u32 rd(void *hw, u64 reg) { return (u32)hw_bar_read(hw, 0, reg, 4); }
static void wr(void *hw, u64 reg, u32 val) { hw_bar_write(hw, 0, reg, 4, val); }

static void dma(void *hw, u64 src, u64 dst, u64 count, u64 cmd)
{
	hw_bar_write(hw, 0, EDU_DMA_SRC, 8, src);
	hw_bar_write(hw, 0, EDU_DMA_DST, 8, dst);
	hw_bar_write(hw, 0, EDU_DMA_COUNT, 8, count);
	hw_bar_write(hw, 0, EDU_DMA_CMD, 8, cmd);
}

struct stream { u8 *buf; size_t len; };

/* Head and state, of a device that is quiesced. */
static struct stream save(void *hw)
{
	struct stream s;
	void *head, *state;
	size_t head_len, state_len;

	explain_begin();
	assert_int_equal(hw_save_head(hw, &head, &head_len), 0);
	assert_int_equal(hw_save_state(hw, &state, &state_len), 0);
	s.len = head_len + state_len;
	s.buf = malloc(s.len + 1);
	assert_non_null(s.buf);
	memcpy(s.buf, head, head_len);
	memcpy(s.buf + head_len, state, state_len);
	free(head);
	free(state);
	assert_in_range(s.len, hw_save_size(hw) / 2, hw_save_size(hw) * 2);
	return s;
}

static int load(void *hw, const u8 *buf, size_t len)
{
	int err;

	explain_begin();
	err = hw_load_check(hw, buf, len);
	return err ? err : hw_load_state(hw, buf, len);
}

static void refused(void *hw, const u8 *buf, size_t len, int err, const char *text)
{
	int got = load(hw, buf, len);
	const char *why = explain_take();

	assert_int_equal(got, err);
	assert_non_null(why);
	if (!strstr(why, text))
		fprintf(stderr, "reason: %s\n", why);
	assert_non_null(strstr(why, text));
}

static int setup(void **state)
{
	explain_enable();
	memset(&fake, 0, sizeof(fake));
	memset(fake_ram, 0, sizeof(fake_ram));
	return 0;
}

/* ---- state ---- */

static void registers_and_buffer_move(void **state)
{
	struct hw_device *from = create(&edu_model, NULL), *to = create(&edu_model, NULL);
	struct stream s;

	(void)state;
	for (unsigned i = 0; i < 4096; i++)
		fake_ram[i] = (u8)(i * 7);
	wr(from, EDU_LIVENESS, 0x1234);
	wr(from, EDU_FACTORIAL, 7);
	wr(from, EDU_STATUS, EDU_STATUS_IRQ);
	dma(from, FAKE_IOVA, EDU_BUF, 4096, EDU_CMD_RUN);
	hw_quiesce(from, true);
	s = save(from);

	hw_quiesce(to, true);
	assert_int_equal(load(to, s.buf, s.len), 0);
	hw_quiesce(to, false);
	assert_int_equal(rd(to, EDU_LIVENESS), ~0x1234u);
	assert_int_equal(rd(to, EDU_FACTORIAL), 5040);
	assert_int_equal(rd(to, EDU_STATUS), EDU_STATUS_IRQ);
	dma(to, EDU_BUF, FAKE_IOVA + 8192, 4096, EDU_CMD_RUN | EDU_CMD_TO_RAM);
	assert_memory_equal(fake_ram, fake_ram + 8192, 4096);
	free(s.buf);
	hw_device_destroy(from);
	hw_device_destroy(to);
}

/* A transfer and a factorial under way when the device stops are carried out by the other one, once. */
static void jobs_under_way_move(void **state)
{
	struct hw_device *from = create(&edu_model, "1000000"), *to = create(&edu_model, "1000000");
	struct stream s;

	(void)state;
	memset(fake_ram, 0x5a, 16);
	wr(from, EDU_FACTORIAL, 6);
	dma(from, FAKE_IOVA, EDU_BUF, 16, EDU_CMD_RUN | EDU_CMD_IRQ);
	hw_quiesce(from, true);
	s = save(from);
	hw_quiesce(to, true);
	assert_int_equal(load(to, s.buf, s.len), 0);
	usleep(1100000); /* the time does not run while the device is stopped */
	assert_int_equal(rd(to, EDU_STATUS), EDU_STATUS_BUSY);
	hw_quiesce(to, false);
	for (int i = 0; i < 3000 && (rd(to, EDU_STATUS) & EDU_STATUS_BUSY || rd(to, EDU_DMA_CMD) & EDU_CMD_RUN); i++)
		usleep(1000);
	assert_int_equal(rd(to, EDU_FACTORIAL), 720);
	assert_int_equal(rd(to, EDU_IRQ_STATUS), EDU_IRQ_DMA);
	assert_int_equal(rd(from, EDU_IRQ_STATUS), 0);
	free(s.buf);
	hw_device_destroy(from);
	hw_device_destroy(to);
}

/* Work that a driver leaves while the device is stopped is done when it goes on. */
static void work_waits_for_resume(void **state)
{
	struct hw_device *hw = create(&edu_model, NULL);

	(void)state;
	msi_on(hw);
	hw_quiesce(hw, true);
	wr(hw, EDU_STATUS, EDU_STATUS_IRQ);
	wr(hw, EDU_FACTORIAL, 5);
	assert_int_equal(rd(hw, EDU_STATUS) & EDU_STATUS_BUSY, EDU_STATUS_BUSY);
	wr(hw, EDU_IRQ_RAISE, 0x20); /* becomes pending */
	assert_int_equal(fake.nr_msi, 0);
	hw_quiesce(hw, false);
	assert_int_equal(rd(hw, EDU_FACTORIAL), 120);
	assert_in_range(fake.nr_msi, 1, 2);
	hw_device_destroy(hw);
}

static void pending_interrupts_move(void **state)
{
	struct hw_device *from = create(&edu_model, NULL), *to = create(&edu_model, NULL);
	struct stream s;

	(void)state;
	msi_on(from);
	hw_quiesce(from, true);
	wr(from, EDU_IRQ_RAISE, 0x20);
	s = save(from);
	hw_quiesce(to, true);
	assert_int_equal(load(to, s.buf, s.len), 0);
	hw_config_write(to, COMMAND, 2, 6); /* a write with MSI off clears pending bits, but not these */
	msi_on(to);
	assert_int_equal(fake.nr_msi, 0);
	hw_quiesce(to, false);
	assert_int_equal(fake.nr_msi, 1);
	assert_int_equal(fake.addr[0], 0xfee01000);
	free(s.buf);
	hw_device_destroy(from);
	hw_device_destroy(to);
}

static void the_pin_moves(void **state)
{
	struct hw_device *from = create(&edu_model, NULL), *to = create(&edu_model, NULL);
	struct stream s;

	(void)state;
	wr(from, EDU_IRQ_RAISE, 1);
	assert_true(fake.intx);
	hw_quiesce(from, true);
	s = save(from);
	fake.intx = false;
	hw_quiesce(to, true);
	assert_int_equal(load(to, s.buf, s.len), 0);
	assert_false(fake.intx);
	hw_quiesce(to, false);
	assert_true(fake.intx);
	free(s.buf);
	hw_device_destroy(from);
	hw_device_destroy(to);
}

/* ---- streams that are refused ---- */

static struct hw_model renamed;

static void wrong_streams_are_refused(void **state)
{
	const struct hw_option_kv narrow[] = { { "dma_mask", "0xfff" }, { 0 } };
	struct hw_device *hw = create(&edu_model, NULL), *other;
	struct stream s;

	(void)state;
	hw_quiesce(hw, true);
	wr(hw, EDU_LIVENESS, 77);
	s = save(hw);
	refused(hw, (const u8 *)"QEMU", 4, -EINVAL, "does not begin");
	for (size_t len = 0; len < s.len; len++) /* cut anywhere, also inside numbers */
		refused(hw, s.buf, len, -EINVAL, "not whole");
	s.buf[s.len] = 0;
	refused(hw, s.buf, s.len + 1, -EINVAL, "goes on after");

	renamed = edu_model;
	renamed.name = "ude";
	other = create(&renamed, NULL);
	refused(other, s.buf, s.len, -EINVAL, "of model edu, this is ude");
	hw_device_destroy(other);
	renamed.name = "edu";
	renamed.state_version = 2;
	other = create(&renamed, NULL);
	refused(other, s.buf, s.len, -EINVAL, "version 1");
	hw_device_destroy(other);
	other = fake_create_ok(&edu_model, narrow);
	refused(other, s.buf, s.len, -EINVAL, "dma_mask=0xfffffff");
	hw_device_destroy(other);

	assert_int_equal(rd(hw, EDU_LIVENESS), ~77u); /* nothing of that changed the device */
	free(s.buf);
	hw_device_destroy(hw);
}

static void what_the_model_refuses_resets_it(void **state)
{
	struct hw_device *hw = create(&edu_model, NULL);
	struct stream s;
	u8 *at;

	(void)state;
	hw_quiesce(hw, true);
	wr(hw, EDU_LIVENESS, 77);
	s = save(hw);
	at = s.buf + s.len - EDU_BUF_BYTES - 4 * 8 - 6 * 8; /* status: busy, and no job that makes it so */
	*at = EDU_STATUS_BUSY;
	refused(hw, s.buf, s.len, -EBADMSG, "do not fit");
	assert_int_equal(rd(hw, EDU_LIVENESS), 0);
	*at = 0x40;
	refused(hw, s.buf, s.len, -EBADMSG, "status");
	free(s.buf);
	hw_device_destroy(hw);
}

/* Hostile bytes: any outcome but a crash, and the device works afterwards. */
static void mangled_streams(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)atoi(given) : 1;
	struct hw_device *hw = create(&edu_model, NULL);
	struct stream s;
	u8 *copy;

	(void)state;
	hw_quiesce(hw, true);
	s = save(hw);
	copy = malloc(s.len + 1);
	assert_non_null(copy);
	for (unsigned round = 0; round < 2000; round++) {
		size_t len = rand_r(&seed) % 8 ? s.len : rand_r(&seed) % s.len;

		memcpy(copy, s.buf, s.len);
		for (unsigned n = rand_r(&seed) % 4 + 1; n; n--)
			copy[rand_r(&seed) % (rand_r(&seed) % 2 ? s.len : 300)] = (u8)rand_r(&seed);
		load(hw, copy, len);
		explain_take();
	}
	assert_int_equal(load(hw, s.buf, s.len), 0);
	hw_quiesce(hw, false);
	wr(hw, EDU_FACTORIAL, 4);
	assert_int_equal(rd(hw, EDU_FACTORIAL), 24);
	free(copy);
	free(s.buf);
	hw_device_destroy(hw);
}

static void models_without_cannot(void **state)
{
	struct hw_device *hw = create(&root_port_model, NULL);

	(void)state;
	assert_false(hw_can_migrate(hw));
	hw_device_destroy(hw);
}

/* ---- the log ---- */

#define LOG_PAGES 200000u
#define LOG_BASE 0x7000000ull

static u8 seen[LOG_PAGES];
static u64 last_seen;
static unsigned seen_shift;

static void note_dirty(void *arg, u64 iova, u64 last)
{
	(void)arg;
	assert_true(iova > last_seen || !last_seen);
	last_seen = last;
	assert_int_equal(iova & ((1ull << seen_shift) - 1), 0);
	for (u64 a = iova; a <= last; a += 1ull << seen_shift)
		seen[(a - LOG_BASE) >> seen_shift]++;
}

static void report(void *hw, u64 iova, u64 last)
{
	memset(seen, 0, sizeof(seen));
	last_seen = 0;
	assert_int_equal(hw_log_read_and_clear(hw, iova, last, note_dirty, NULL), 0);
}

static void log_on_and_off(void **state)
{
	struct hw_device *hw = create(&edu_model, NULL);
	const struct hw_log_range range = { 0, 1 << 20 };
	u64 page = 4096;

	(void)state;
	explain_begin();
	assert_int_equal(hw_log_stop(hw), -EINVAL);
	assert_int_equal(hw_log_read_and_clear(hw, 0, 4095, note_dirty, NULL), -EINVAL);
	assert_int_equal(hw_log_start(hw, &range, 1, &page), 0);
	assert_int_equal(page, 4096);
	assert_int_equal(hw_log_start(hw, &range, 1, &page), -EINVAL);
	assert_int_equal(hw_log_stop(hw), 0);
	page = 5000;
	assert_int_equal(hw_log_start(hw, &range, 1, &page), 0);
	assert_int_equal(page, 8192);
	hw_device_destroy(hw); /* with the log on */
}

/* All there is: pages grow until the bitmap is reasonable. */
static void log_of_everything(void **state)
{
	struct hw_device *hw = create(&edu_model, NULL);
	const struct hw_log_range range = { 0, ~0ull & ~4095ull };
	u64 page = 4096;

	(void)state;
	explain_begin();
	assert_int_equal(hw_log_start(hw, &range, 1, &page), 0);
	assert_true(page >= 1ull << 30);
	hw_log_mark(hw, ~0ull - 10, 100);
	assert_int_equal(hw_log_stop(hw), 0);
	hw_device_destroy(hw);
}

static void collect(void *arg, u64 iova, u64 last)
{
	for (u64 a = iova; a <= last; a += 4096)
		*(u64 *)arg |= 1ull << (a - FAKE_IOVA) / 4096;
}

static void dma_writes_are_logged_and_reads_are_not(void **state)
{
	struct hw_device *hw = create(&edu_model, NULL);
	struct hw_dma *engine = hw_dma_open(hw);
	const struct hw_log_range ram = { FAKE_IOVA, FAKE_BYTES };
	u64 page = 4096, got = 0;
	u8 bytes[8192];

	(void)state;
	explain_begin();
	assert_int_equal(hw_log_start(hw, &ram, 1, &page), 0);
	assert_int_equal(hw_dma_read(engine, FAKE_IOVA, bytes, sizeof(bytes)), 0);
	assert_int_equal(hw_dma_write(engine, FAKE_IOVA + 4090, "0123456789", 10), 0);
	assert_int_equal(hw_dma_write(engine, FAKE_IOVA + 5 * 4096, "x", 1), 0);
	hw_config_write(hw, COMMAND, 2, 2);
	assert_int_equal(hw_dma_write(engine, FAKE_IOVA + 8 * 4096, "x", 1), -EPERM); /* did not happen */
	assert_int_equal(hw_log_read_and_clear(hw, 0, ~0ull, collect, &got), 0);
	assert_int_equal(got, 1 << 0 | 1 << 1 | 1 << 5);
	got = 0;
	assert_int_equal(hw_log_read_and_clear(hw, 0, ~0ull, collect, &got), 0);
	assert_int_equal(got, 0);
	hw_dma_close(engine);
	hw_device_destroy(hw);
}

/* Random writes and reports against an array of bytes. */
static void log_is_exact(void **state)
{
	static u8 want[LOG_PAGES];
	const struct hw_log_range ranges[] = {
		{ LOG_BASE + 100000 * 4096ull, 99990 * 4096ull }, { LOG_BASE, 70001 * 4096ull },
	};
	struct hw_device *hw = create(&edu_model, NULL);
	unsigned seed = 7;
	u64 page = 4096;

	(void)state;
	explain_begin();
	seen_shift = 12;
	assert_int_equal(hw_log_start(hw, ranges, 2, &page), 0);
	memset(want, 0, sizeof(want));
	for (unsigned round = 0; round < 100; round++) {
		u64 first = rand_r(&seed) % LOG_PAGES, count, last;

		for (unsigned n = 0; n < 50; n++) {
			u64 at = (u64)rand_r(&seed) % (LOG_PAGES * 4096ull - 40000), len = rand_r(&seed) % 30000 + 1;

			hw_log_mark(hw, LOG_BASE + at, len);
			for (u64 p = at / 4096; p <= (at + len - 1) / 4096; p++)
				want[p] = p < 70001 || (p >= 100000 && p < 199990);
		}
		count = rand_r(&seed) % (LOG_PAGES - first) + 1;
		last = first + count - 1;
		report(hw, LOG_BASE + first * 4096, LOG_BASE + last * 4096 + rand_r(&seed) % 4096);
		for (u64 p = 0; p < LOG_PAGES; p++) {
			if (seen[p] != (want[p] && p >= first && p <= last))
				fprintf(stderr, "round %u: page %llu\n", round, (unsigned long long)p);
			assert_int_equal(seen[p], want[p] && p >= first && p <= last);
			if (seen[p])
				want[p] = 0;
		}
	}
	hw_device_destroy(hw);
}

static atomic_uint marks, end;

static void *marker(void *hw)
{
	unsigned seed = 3;

	while (!atomic_load(&end)) {
		hw_log_mark(hw, LOG_BASE + (rand_r(&seed) % 1000) * 4096ull, 1);
		atomic_fetch_add(&marks, 1);
	}
	return NULL;
}

static void ignore(void *arg, u64 iova, u64 last)
{
	(void)iova;
	(void)last;
	++*(unsigned *)arg;
}

/* On, off and reports while another thread marks: for ThreadSanitizer and AddressSanitizer. */
static void log_among_threads(void **state)
{
	const struct hw_log_range range = { LOG_BASE, 1000 * 4096ull };
	struct hw_device *hw = create(&edu_model, NULL);
	unsigned got = 0;
	pthread_t thread;
	u64 page = 4096;

	(void)state;
	explain_begin();
	atomic_store(&end, 0);
	assert_int_equal(pthread_create(&thread, NULL, marker, hw), 0);
	for (unsigned i = 0; i < 300 || !got; i++) {
		assert_int_equal(hw_log_start(hw, &range, 1, &page), 0);
		for (unsigned n = atomic_load(&marks), k = 0; k < 1000 && atomic_load(&marks) - n < 20; k++)
			sched_yield();
		hw_log_read_and_clear(hw, 0, ~0ull, ignore, &got);
		assert_int_equal(hw_log_stop(hw), 0);
	}
	atomic_store(&end, 1);
	pthread_join(thread, NULL);
	hw_device_destroy(hw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers_and_buffer_move, setup),
		cmocka_unit_test_setup(jobs_under_way_move, setup),
		cmocka_unit_test_setup(work_waits_for_resume, setup),
		cmocka_unit_test_setup(pending_interrupts_move, setup),
		cmocka_unit_test_setup(the_pin_moves, setup),
		cmocka_unit_test_setup(wrong_streams_are_refused, setup),
		cmocka_unit_test_setup(what_the_model_refuses_resets_it, setup),
		cmocka_unit_test_setup(mangled_streams, setup),
		cmocka_unit_test_setup(models_without_cannot, setup),
		cmocka_unit_test_setup(log_on_and_off, setup),
		cmocka_unit_test_setup(log_of_everything, setup),
		cmocka_unit_test_setup(dma_writes_are_logged_and_reads_are_not, setup),
		cmocka_unit_test_setup(log_is_exact, setup),
		cmocka_unit_test_setup(log_among_threads, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
