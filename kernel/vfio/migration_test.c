/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migration_test.c - the features of migration and DMA logging, over a driver that only takes notes.
 *
 * The table of ways is held against a search that knows the arcs of the uAPI and its two rules.  The
 * errors are those that Linux 7.2 gives for its sample device (mtty).
 */
#include "kernel/vfio/vfio_test.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define ALL_STATES (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)

enum {
	ERROR = VFIO_DEVICE_STATE_ERROR,
	STOP = VFIO_DEVICE_STATE_STOP,
	RUNNING = VFIO_DEVICE_STATE_RUNNING,
	STOP_COPY = VFIO_DEVICE_STATE_STOP_COPY,
	RESUMING = VFIO_DEVICE_STATE_RESUMING,
	RUNNING_P2P = VFIO_DEVICE_STATE_RUNNING_P2P,
	PRE_COPY = VFIO_DEVICE_STATE_PRE_COPY,
	PRE_COPY_P2P = VFIO_DEVICE_STATE_PRE_COPY_P2P,
	STATES = VFIO_DEVICE_STATE_NR,
};

/* ---- the table against the rules ---- */

static bool saving(unsigned s)
{
	return s == PRE_COPY || s == PRE_COPY_P2P || s == STOP_COPY;
}

static bool exists(u64 flags, unsigned s)
{
	if (s == ERROR || s >= STATES)
		return false;
	if ((s == RUNNING_P2P || s == PRE_COPY_P2P) && !(flags & VFIO_MIGRATION_P2P))
		return false;
	return (s != PRE_COPY && s != PRE_COPY_P2P) || flags & VFIO_MIGRATION_PRE_COPY;
}

/* The arcs as the uAPI lists them, and what they become where the states between are missing. */
static bool arc(u64 flags, unsigned from, unsigned to)
{
	static const u8 arcs[][2] = {
		{ RUNNING_P2P, STOP }, { STOP_COPY, STOP }, { RESUMING, STOP }, { PRE_COPY, RUNNING },
		{ RUNNING_P2P, RUNNING }, { PRE_COPY_P2P, RUNNING_P2P }, { RUNNING, RUNNING_P2P },
		{ STOP, RUNNING_P2P }, { RUNNING, PRE_COPY }, { RUNNING_P2P, PRE_COPY_P2P }, { STOP, STOP_COPY },
		{ PRE_COPY, PRE_COPY_P2P }, { PRE_COPY_P2P, PRE_COPY }, { PRE_COPY_P2P, STOP_COPY },
		{ STOP, RESUMING },
	};
	static const u8 without_p2p[][2] = { { RUNNING, STOP }, { STOP, RUNNING }, { PRE_COPY, STOP_COPY } };

	for (unsigned i = 0; i < ARRAY_SIZE(arcs); i++) {
		if (arcs[i][0] == from && arcs[i][1] == to)
			return true;
	}
	for (unsigned i = 0; !(flags & VFIO_MIGRATION_P2P) && i < ARRAY_SIZE(without_p2p); i++) {
		if (without_p2p[i][0] == from && without_p2p[i][1] == to)
			return true;
	}
	return false;
}

/* Steps from @from to @to, 99 if there is no way.  Inside a way: no saving state, unless all of it is saving. */
static unsigned steps(u64 flags, unsigned from, unsigned to, unsigned depth)
{
	unsigned best = 99;

	if (from == to)
		return 0;
	if (!depth)
		return 99;
	for (unsigned next = 1; next < STATES; next++) {
		if (!exists(flags, next) || !arc(flags, from, next))
			continue;
		if (next != to && saving(next) && !(saving(from) && saving(to)))
			continue;
		best = min(best, 1 + steps(flags, next, to, depth - 1));
	}
	return best;
}

static void check_way(u64 flags, unsigned from, unsigned to)
{
	unsigned want = steps(flags, from, to, 6), cur = from, n = 0;
	u32 next;

	if (from == STOP_COPY && (to == PRE_COPY || to == PRE_COPY_P2P)) { /* forbidden by name */
		explain_begin();
		t_fails(vfio_mig_get_next_state(flags, from, to, &next), EINVAL);
		return;
	}
	while (cur != to && n < 10) {
		t_works(vfio_mig_get_next_state(flags, cur, to, &next));
		assert_true(arc(flags, cur, next) && exists(flags, next));
		cur = next;
		n++;
		assert_true(cur == to || !saving(cur) || (saving(from) && saving(to)));
	}
	if (n != want)
		fprintf(stderr, "flags %llu, %s to %s: %u steps, %u would do\n", (unsigned long long)flags,
			vfio_mig_state_name(from), vfio_mig_state_name(to), n, want);
	assert_int_equal(n, want);
}

static void ways_are_the_shortest(void **state)
{
	static const u64 kinds[] = {
		VFIO_MIGRATION_STOP_COPY, VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
		VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY, ALL_STATES,
	};

	(void)state;
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned from = 1; from < STATES; from++) {
			for (unsigned to = 1; to < STATES && exists(kinds[k], from); to++) {
				if (exists(kinds[k], to))
					check_way(kinds[k], from, to);
			}
		}
	}
}

static void ways_that_are_refused(void **state)
{
	u32 next;

	(void)state;
	explain_begin();
	t_fails(vfio_mig_get_next_state(ALL_STATES, STOP_COPY, PRE_COPY, &next), EINVAL);
	t_fails(vfio_mig_get_next_state(ALL_STATES, STOP_COPY, PRE_COPY_P2P, &next), EINVAL);
	for (unsigned s = 0; s < STATES; s++) {
		t_fails(vfio_mig_get_next_state(ALL_STATES, s, ERROR, &next), EINVAL);
		t_fails(vfio_mig_get_next_state(ALL_STATES, ERROR, s, &next), EINVAL);
		t_fails(vfio_mig_get_next_state(ALL_STATES, s, STATES, &next), EINVAL);
		t_fails(vfio_mig_get_next_state(ALL_STATES, s, ~0u, &next), EINVAL);
	}
	t_fails(vfio_mig_get_next_state(VFIO_MIGRATION_STOP_COPY, RUNNING, RUNNING_P2P, &next), EINVAL);
	t_fails(vfio_mig_get_next_state(VFIO_MIGRATION_STOP_COPY, RUNNING, PRE_COPY, &next), EINVAL);
	t_fails(vfio_mig_get_next_state(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P, RUNNING, PRE_COPY_P2P, &next),
		EINVAL);
}

/* ---- a driver that takes notes ---- */

static struct {
	u32 state;
	int ret;
	bool stream, logs;
	u64 page_size;
	struct vfio_device_feature_dma_logging_range range;
	u32 ranges;
	u64 dirty[16];
	unsigned nr_dirty;
} note;

static const struct file_operations stream_fops = { .kind = FILE_OTHER, .stream = true };

static struct file *note_set_state(struct vfio_device *vdev, u32 new)
{
	u32 next;
	int ret = vfio_mig_get_next_state(vdev->migration_flags, note.state, new, &next);

	if (!ret)
		ret = note.ret;
	if (ret)
		return ERR_PTR(ret);
	note.state = new;
	return note.stream ? file_alloc(&stream_fops, NULL, "anon_inode:[test]", O_RDONLY) : NULL;
}

static u32 note_get_state(struct vfio_device *vdev)
{
	(void)vdev;
	return note.state;
}

static u64 note_data_size(struct vfio_device *vdev)
{
	(void)vdev;
	return 1234;
}

static const struct vfio_migration_ops note_mig_ops = { note_set_state, note_get_state, note_data_size };

static int note_log_start(struct vfio_device *vdev, const struct vfio_device_feature_dma_logging_range *ranges,
			  u32 count, u64 *page_size)
{
	(void)vdev;
	if (note.logs)
		return fail(-EINVAL, "it logs");
	note.logs = true;
	note.range = ranges[0];
	note.ranges = count;
	note.page_size = *page_size;
	*page_size = 8192;
	return 0;
}

static int note_log_stop(struct vfio_device *vdev)
{
	(void)vdev;
	if (!note.logs)
		return fail(-EINVAL, "it does not log");
	note.logs = false;
	return 0;
}

static int note_log_read(struct vfio_device *vdev, u64 iova, u64 last, void (*dirty)(void *arg, u64 iova, u64 last),
			 void *arg)
{
	(void)vdev;
	for (unsigned i = 0; i < note.nr_dirty; i++) {
		if (note.dirty[i] >= iova && note.dirty[i] <= last)
			dirty(arg, note.dirty[i], note.dirty[i] + 4095);
	}
	return 0;
}

static const struct vfio_log_ops note_log_ops = { note_log_start, note_log_stop, note_log_read };

struct dev {
	struct t_ctx x;
	int d;
};

static struct dev open_device(u64 flags)
{
	struct dev dev = { .x = t_setup("vfio/5", VFIO_TYPE1v2_IOMMU) };

	guard_install();
	memset(&note, 0, sizeof(note));
	note.state = RUNNING;
	t_dev[FAKE2].vdev.mig_ops = flags ? &note_mig_ops : NULL;
	t_dev[FAKE2].vdev.log_ops = flags ? &note_log_ops : NULL;
	t_dev[FAKE2].vdev.migration_flags = flags;
	dev.d = (int)t_works(t_ioctl(dev.x.g, VFIO_GROUP_GET_DEVICE_FD, "fake2"));
	return dev;
}

static void close_device(struct dev dev)
{
	t_close(dev.d);
	t_teardown(dev.x);
	t_dev[FAKE2].vdev.mig_ops = NULL;
	t_dev[FAKE2].vdev.log_ops = NULL;
	t_dev[FAKE2].vdev.migration_flags = 0;
}

static char buf[8 + 64] __attribute__((aligned(8)));

/* @data, if given, goes there and comes back. */
static long feature(int d, u32 flags, void *data, size_t size)
{
	struct vfio_device_feature *f = (void *)buf;
	long ret;

	f->argsz = (u32)(8 + size);
	f->flags = flags;
	if (data)
		memcpy(f->data, data, size);
	ret = t_ioctl(d, VFIO_DEVICE_FEATURE, f);
	if (data)
		memcpy(data, f->data, size);
	return ret;
}

static void what_each_feature_takes(void **state)
{
	/* 1: works, 0: EINVAL; for GET, SET and, probing, for none, GET, SET, both */
	static const struct { unsigned number, size; bool get, set, p, pg, ps, pgs; } cases[] = {
		{ VFIO_DEVICE_FEATURE_MIGRATION, 8, true, false, true, true, false, false },
		{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, 8, true, false, true, true, true, true },
		{ VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, 8, true, false, true, true, false, false },
		{ VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, 0, false, true, true, false, true, false },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_START, 24, false, false, true, false, true, false },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, 0, false, false, true, false, true, false },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, 32, false, false, true, true, false, false },
	};
	struct dev dev = open_device(ALL_STATES);
	char zeros[64] = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const unsigned n = cases[i].number;
		const struct { u32 how; bool works; } ways[] = {
			{ GET, cases[i].get }, { SET, cases[i].set }, { PROBE, cases[i].p }, { PROBE | GET, cases[i].pg },
			{ PROBE | SET, cases[i].ps }, { PROBE | GET | SET, cases[i].pgs }, { GET | SET, false }, { 0, false },
		};

		for (unsigned w = 0; w < ARRAY_SIZE(ways); w++) {
			memset(zeros, 0, sizeof(zeros));
			if (ways[w].works)
				t_works(feature(dev.d, n | ways[w].how, zeros, cases[i].size));
			else
				t_fails(feature(dev.d, n | ways[w].how, zeros, cases[i].size), EINVAL);
		}
		if (cases[i].size)
			t_fails(feature(dev.d, n | (cases[i].get ? GET : SET), zeros, cases[i].size - 1), EINVAL);
	}
	close_device(dev);
}

static void without_pre_copy(void **state)
{
	struct dev dev = open_device(VFIO_MIGRATION_STOP_COPY);
	u64 flags = 0;

	(void)state;
	t_works(feature(dev.d, VFIO_DEVICE_FEATURE_MIGRATION | GET, &flags, 8));
	assert_int_equal(flags, VFIO_MIGRATION_STOP_COPY);
	t_fails(feature(dev.d, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | SET, NULL, 0), EINVAL);
	close_device(dev);
}

static void states_come_and_go(void **state)
{
	struct dev dev = open_device(ALL_STATES);
	struct vfio_device_feature_mig_state mig = { 77, 77 };
	u64 size = 0;

	(void)state;
	t_works(feature(dev.d, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | GET, &mig, sizeof(mig)));
	assert_int_equal(mig.device_state, RUNNING);
	assert_int_equal(mig.data_fd, -1);
	t_works(feature(dev.d, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | GET, &size, 8));
	assert_int_equal(size, 1234);

	mig = (struct vfio_device_feature_mig_state){ STOP, 55 };
	t_works(feature(dev.d, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | SET, &mig, sizeof(mig)));
	assert_int_equal(mig.data_fd, -1);
	assert_int_equal(note.state, STOP);

	mig = (struct vfio_device_feature_mig_state){ 9, 55 };
	t_fails(feature(dev.d, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | SET, &mig, sizeof(mig)), EINVAL);
	assert_int_equal(mig.data_fd, -1); /* written also on failure, as Linux does */
	note.ret = -EIO;
	mig = (struct vfio_device_feature_mig_state){ RUNNING, 55 };
	explain_begin();
	assert_int_equal(feature(dev.d, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | SET, &mig, sizeof(mig)), -EIO);
	close_device(dev);
}

static void a_stream_becomes_a_descriptor(void **state)
{
	struct dev dev = open_device(ALL_STATES);
	struct vfio_device_feature_mig_state mig = { STOP_COPY, 55 };
	struct file *file;

	(void)state;
	note.stream = true;
	t_works(feature(dev.d, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | SET, &mig, sizeof(mig)));
	assert_true(mig.data_fd >= 0 && fd_is_ours(mig.data_fd));
	assert_int_equal(fcntl(mig.data_fd, F_GETFD), FD_CLOEXEC);
	file = fget(mig.data_fd);
	assert_string_equal(file->path, "anon_inode:[test]");
	fput(file);
	t_close(mig.data_fd);
	close_device(dev);
}

/* The answer cannot be written: no descriptor may be left behind. */
static void a_stream_without_an_answer(void **state)
{
	struct dev dev = open_device(ALL_STATES);
	struct { u32 argsz, flags; struct vfio_device_feature_mig_state mig; } *f;
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int before = dup(0), after;

	(void)state;
	close(before);
	f = (void *)page;
	f->argsz = sizeof(*f);
	f->flags = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | SET;
	f->mig = (struct vfio_device_feature_mig_state){ STOP_COPY, 55 };
	note.stream = true;
	assert_int_equal(mprotect(page, 4096, PROT_READ), 0);
	t_fails(t_ioctl(dev.d, VFIO_DEVICE_FEATURE, f), EFAULT);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	munmap(page, 4096);
	close_device(dev);
}

/* ---- the log ---- */

static struct vfio_device_feature_dma_logging_range ranges[300];
static u64 chosen_page_size;

static long start(int d, u64 page_size, u32 count, void *where)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = page_size, .num_ranges = count, .ranges = (uintptr_t)where,
	};
	long ret = feature(d, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | SET, &control, sizeof(control));

	chosen_page_size = control.page_size;
	return ret;
}

static void stop(int d)
{
	t_works(feature(d, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | SET, NULL, 0));
}

static void set_range(unsigned i, u64 iova, u64 length)
{
	ranges[i].iova = iova;
	ranges[i].length = length;
}

static void ranges_are_checked(void **state)
{
	struct dev dev = open_device(ALL_STATES);

	(void)state;
	set_range(0, 0, 0x10000);
	t_fails(feature(dev.d, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | SET, NULL, 0), EINVAL);
	t_works(start(dev.d, 4096, 1, ranges));
	assert_int_equal(chosen_page_size, 8192);
	assert_int_equal(note.page_size, 4096);
	assert_int_equal(note.range.length, 0x10000);
	t_fails(start(dev.d, 4096, 1, ranges), EINVAL);
	stop(dev.d);
	t_fails(start(dev.d, 0, 1, ranges), EINVAL);
	t_fails(start(dev.d, 2 << 20, 1, ranges), EINVAL);
	t_fails(start(dev.d, 4096, 0, ranges), EINVAL);
	t_fails(start(dev.d, 4096, 1, T_BAD), EFAULT);
	t_fails(start(dev.d, 4096, 257, T_BAD), E2BIG);
	set_range(0, 0, 0x1001);
	t_fails(start(dev.d, 4096, 1, ranges), EINVAL);
	set_range(0, 1, 0x1000);
	t_fails(start(dev.d, 4096, 1, ranges), EINVAL);
	set_range(0, ~0ull - 4095, 0x1000);
	t_fails(start(dev.d, 4096, 1, ranges), EOVERFLOW);
	set_range(0, 0, 0x10000);
	set_range(1, 0x8000, 0x10000);
	t_fails(start(dev.d, 4096, 2, ranges), EINVAL);
	set_range(1, 0x10000, 0x10000);
	t_works(start(dev.d, 4096, 2, ranges));
	stop(dev.d);
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		set_range(i, (u64)i << 20, 4096);
	t_works(start(dev.d, 4096, 256, ranges));
	assert_int_equal(note.ranges, 256);
	stop(dev.d);
	close_device(dev);
}

static long report(int d, u64 iova, u64 length, u64 page_size, void *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = { iova, length, page_size, (uintptr_t)bitmap };

	return feature(d, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | GET, &report, sizeof(report));
}

static void reports_are_checked(void **state)
{
	struct dev dev = open_device(ALL_STATES);
	u64 bits[4] = { 0 };

	(void)state;
	t_fails(report(dev.d, 0, 0x10000, 0, bits), EINVAL);
	t_fails(report(dev.d, 0, 0x10000, 2048, bits), EINVAL);
	t_fails(report(dev.d, 0, 0x10000, 5000, bits), EINVAL);
	t_fails(report(dev.d, ~0ull - 4095, 4096, 4096, bits), EOVERFLOW);
	t_works(report(dev.d, 0, ~0ull, 4096, T_BAD)); /* nothing to say, so nothing is touched */
	t_works(report(dev.d, 0, 0, 4096, T_BAD));
	note.nr_dirty = 1;
	t_fails(report(dev.d, 0, 4096, 4096, T_BAD), EFAULT);
	close_device(dev);
}

static void bits_are_set_and_none_cleared(void **state)
{
	struct dev dev = open_device(ALL_STATES);
	static u64 big[4096];
	u64 bits[2] = { 1ull << 40, 0 };

	(void)state;
	note.dirty[0] = 0x1000;
	note.dirty[1] = 0x5000;
	note.dirty[2] = 0x41000; /* the second word */
	note.nr_dirty = 3;
	t_works(report(dev.d, 0x1000, 0x80000, 4096, bits));
	assert_int_equal(bits[0], 1ull << 40 | 1 << 0 | 1 << 4);
	assert_int_equal(bits[1], 1);

	bits[0] = bits[1] = 0;
	t_works(report(dev.d, 0, 0x80000, 16384, bits)); /* larger pages than the log's */
	assert_int_equal(bits[0], 1 << 0 | 1 << 1 | 1 << 16);

	note.dirty[1] = 4096ull * 40000; /* past one window of the copy */
	note.dirty[2] = 4096ull * 200000;
	memset(big, 0, sizeof(big));
	t_works(report(dev.d, 0, 4096ull * 64 * 4096, 4096, big));
	assert_int_equal(big[0], 1 << 1);
	assert_int_equal(big[40000 / 64], 1ull << 40000 % 64);
	assert_int_equal(big[200000 / 64], 1ull << 200000 % 64);
	close_device(dev);
}

/* ---- debugfs ---- */

static void shows(const char *file, const char *want)
{
	char path[128], buf[128];
	struct file *f;
	u64 pos = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "sys/kernel/debug/vfio/fake2/migration/%s", file);
	explain_begin();
	f = kernfs_open_attr(path, O_RDONLY);
	assert_true(f && !IS_ERR(f));
	len = f->f_op->read(f, buf, sizeof(buf) - 1, &pos);
	fput(f);
	assert_true(len >= 0);
	buf[len] = 0;
	assert_string_equal(buf, want);
}

static void rebind(u64 flags)
{
	explain_begin();
	kernfs_lock();
	device_driver_detach(&t_dev[FAKE2].dev);
	t_dev[FAKE2].vdev.mig_ops = flags ? &note_mig_ops : NULL;
	t_dev[FAKE2].vdev.log_ops = flags & VFIO_MIGRATION_PRE_COPY ? &note_log_ops : NULL;
	t_dev[FAKE2].vdev.migration_flags = flags;
	assert_int_equal(device_driver_attach(&fake_driver, &t_dev[FAKE2].dev), 0);
	kernfs_unlock();
}

static void debugfs_of_a_device(void **state)
{
	(void)state;
	assert_false(kernfs_exists("sys/kernel/debug/vfio/fake2"));
	rebind(ALL_STATES);
	note.state = PRE_COPY_P2P;
	shows("state", "PRE_COPY_P2P\n");
	note.state = ERROR;
	shows("state", "ERROR\n");
	shows("features", "stop-copy\np2p\npre-copy\ndirty-tracking\n");
	rebind(VFIO_MIGRATION_STOP_COPY);
	shows("features", "stop-copy\n");
	rebind(0);
	assert_false(kernfs_exists("sys/kernel/debug/vfio/fake2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_are_the_shortest),
		cmocka_unit_test(ways_that_are_refused),
		cmocka_unit_test_teardown(what_each_feature_takes, t_close_all),
		cmocka_unit_test_teardown(without_pre_copy, t_close_all),
		cmocka_unit_test_teardown(states_come_and_go, t_close_all),
		cmocka_unit_test_teardown(a_stream_becomes_a_descriptor, t_close_all),
		cmocka_unit_test_teardown(a_stream_without_an_answer, t_close_all),
		cmocka_unit_test_teardown(ranges_are_checked, t_close_all),
		cmocka_unit_test_teardown(reports_are_checked, t_close_all),
		cmocka_unit_test_teardown(bits_are_set_and_none_cleared, t_close_all),
		cmocka_unit_test_teardown(debugfs_of_a_device, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
