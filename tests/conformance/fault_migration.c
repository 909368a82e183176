/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault_migration.c - a device migrates while each allocation on the way fails in turn.
 *
 * A change of state that fails leaves the device in a state that it tells, and can be tried again; a byte of the
 * stream that could not be read or written comes with the next try.  How many allocations there are is each
 * driver's own, so a row says which errnos came, and where the device was then.
 *
 * usage: fault_migration DEVICE    as migration.c, which tells the rest; as root
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>

#include "tests/conformance/faults.h"
#include "tests/conformance/migration.h"

#define MTTY_UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002" /* not the one that migration.c leaves behind */

static int data_fd = -1;

/* A new descriptor takes the old one's place. */
static int set_state(unsigned state)
{
	struct vfio_device_feature_mig_state mig = { state, -1 };
	int ret = feature(SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig, sizeof(mig)), err = errno;

	if (!ret && mig.data_fd >= 0) {
		close(data_fd);
		data_fd = mig.data_fd;
	}
	errno = err;
	return ret;
}

static unsigned get_state(void)
{
	struct vfio_device_feature_mig_state now = { 0, 0 };

	need(!feature(GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &now, sizeof(now)), "state");
	return now.device_state;
}

static void go_to(unsigned state)
{
	need(!ioctl(dev, VFIO_DEVICE_RESET), "reset");
	need(!set_state(state), "going there");
}

/* ---- changes of state ---- */

static void way(unsigned from, unsigned to)
{
	struct errnos seen = { .count = 0 };
	unsigned then = 0, failed = 0; /* @then: a bit for each state in which a failure left the device */
	char what[64];
	int ret = -1, err = 0;

	for (unsigned n = 1, rounds = 2; rounds; n++) {
		go_to(from);
		set_nth(n);
		errno = 0;
		ret = set_state(to);
		err = errno;
		if (end_nth()) {
			rounds--;
			n = 0;
			continue;
		}
		failed++;
		if (ret) {
			errno_seen(&seen, err);
			then |= 1u << get_state();
		}
	}
	snprintf(what, sizeof(what), "%s to %s", states[from], states[to]);
	row(what, ret, err);
	note(failed ? "now %s, before that:" : "now %s, nothing failed", states[get_state()]);
	note_errnos(&seen);
	for (unsigned s = 0; s < 8; s++)
		if (then >> s & 1)
			note(" in %s", states[s]);
}

static void ways(void)
{
	begin("each allocation fails: changes of state");
	way(VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP);
	way(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING);
	way(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY);
	way(VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP);
	way(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING);
	way(VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_PRE_COPY);
	way(VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY);
	way(VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_RUNNING);
	way(VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RUNNING_P2P);
}

/* ---- the stream ---- */

#define STREAM_MAX (4u << 20)

/* One read or write, tried with each of its allocations failing, and at last without.  Return: bytes. */
static ssize_t move(void *buf, size_t size, bool writing)
{
	ssize_t n;
	int err;

	for (unsigned nr = 1;; nr++) {
		set_nth(nr);
		n = writing ? write(data_fd, buf, size) : read(data_fd, buf, size);
		err = errno;
		if (end_nth())
			return n;
		if (n >= 0) /* it could do without */
			return n;
		if (err != ENOMEM) {
			fprintf(stderr, "%s: %s\n", writing ? "write" : "read", strerror(err));
			return -1;
		}
	}
}

static size_t save(unsigned char *stream, bool faults)
{
	size_t total = 0;
	ssize_t n;

	go_to(VFIO_DEVICE_STATE_STOP_COPY);
	while (total < STREAM_MAX &&
	       (n = faults ? move(stream + total, 100, false) : read(data_fd, stream + total, 100)) > 0)
		total += (size_t)n;
	return total;
}

static void stream(void)
{
	unsigned char *plain = malloc(STREAM_MAX), *faulty = malloc(STREAM_MAX);
	size_t len = save(plain, false), got = save(faulty, true), at = 0;
	ssize_t n = 1;

	begin("each allocation fails: the stream");
	T("read", len && got == len ? 0 : -1);
	go_to(VFIO_DEVICE_STATE_RESUMING);
	while (at < got && n > 0) {
		n = move(faulty + at, got - at < 100 ? got - at : 100, true);
		at += n > 0 ? (size_t)n : 0;
	}
	T("written", at == got ? 0 : -1);
	T("RUNNING", set_state(VFIO_DEVICE_STATE_RUNNING));
	note("now %s", states[get_state()]);
	/* Arriving: what failed at the end of a stream leaves a device that a reset brings back. */
	for (unsigned nr = 1;; nr++) {
		unsigned left;
		int ret;

		go_to(VFIO_DEVICE_STATE_RESUMING);
		for (at = 0; at < len; at += (size_t)n)
			need((n = write(data_fd, plain + at, len - at)) > 0, "write");
		set_nth(nr);
		ret = set_state(VFIO_DEVICE_STATE_RUNNING);
		left = end_nth();
		if (left) {
			row("arriving", ret, errno);
			note("now %s", states[get_state()]);
			break;
		}
	}
	free(plain);
	free(faulty);
}

/* ---- the log of DMA writes, which not every device has ---- */

static struct vfio_device_feature_dma_logging_range ranges[3] = {
	{ 0, 0x10000 }, { 0x100000, 0x200000 }, { 1ull << 32, 1u << 30 },
};
static uint64_t bits[1 << 12];

static int log_start(void)
{
	struct vfio_device_feature_dma_logging_control c = { .page_size = PG, .num_ranges = 3, .ranges = (uintptr_t)ranges };

	return feature(SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &c, sizeof(c));
}
static int log_report(void)
{
	struct vfio_device_feature_dma_logging_report c = { 1ull << 32, 1u << 30, PG, (uintptr_t)bits };

	return feature(GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &c, sizeof(c));
}
static int log_stop(void)
{
	return feature(SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, bits, 0);
}

static void sweep(const char *what, int (*call)(void), int (*undo)(void))
{
	struct errnos seen = { .count = 0 };
	unsigned failed = 0;
	int ret = -1, err = 0;

	for (unsigned n = 1, rounds = 2; rounds; n++) {
		set_nth(n);
		errno = 0;
		ret = call();
		err = errno;
		if (end_nth()) {
			rounds--;
			n = 0;
		} else {
			failed++;
			if (ret)
				errno_seen(&seen, err);
		}
		if (rounds && !ret && undo)
			need(!undo(), "undo");
	}
	row(what, ret, err);
	note(failed ? "before that:" : "nothing failed");
	note_errnos(&seen);
}

static void dma_log(void)
{
	need(!ioctl(dev, VFIO_DEVICE_RESET), "reset");
	if (log_start() && errno == ENOTTY)
		return;
	need(!log_stop(), "stop");
	begin("each allocation fails: the log of DMA");
	sweep("start", log_start, log_stop);
	sweep("report", log_report, NULL);
	sweep("stop", log_stop, log_start);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: fault_migration DEVICE\n");
		return 2;
	}
	faults_start();
	faults_quiet();
	open_device(argv[1], MTTY_UUID);
	faults_of_all();
	ways();
	stream();
	dma_log();
	close(data_fd);
	close(dev);
	close(group);
	close(container);
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
