/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migration.c - questions about migration and DMA logging, one line per answer (see rows.h).
 *
 * Asked is what the VFIO core and the uAPI decide, not a driver: the way between any two states, which
 * calls a stream takes, how ranges are checked.  Answers of a real kernel are those of its sample device,
 * mtty (CONFIG_SAMPLE_VFIO_MDEV_MTTY), which migrates and "logs", without ever writing by DMA.
 *
 * usage: migration DEVICE    a PCI address, bound to a driver that can migrate; or "mtty": make one of those
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <sys/stat.h>

#include "tests/conformance/migration.h"

#define MTTY_UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define STATES VFIO_DEVICE_STATE_NR

static struct vfio_device_feature_mig_state mig;

static int set_state(unsigned state)
{
	mig = (struct vfio_device_feature_mig_state){ state, 55 };
	return feature(SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig, sizeof(mig));
}

static unsigned get_state(void)
{
	struct vfio_device_feature_mig_state now = { 77, 77 };

	need(!feature(GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &now, sizeof(now)), "state");
	return now.device_state;
}

static void reset(void)
{
	need(!ioctl(dev, VFIO_DEVICE_RESET), "reset");
}

/* Return: the stream's descriptor; -1. */
static int go_to(unsigned state)
{
	reset();
	need(!set_state(state), "going there");
	return mig.data_fd;
}

/* ---- features ---- */

static void feature_methods(void)
{
	static const struct { unsigned number; const char *name; unsigned size; } features[] = {
		{ VFIO_DEVICE_FEATURE_MIGRATION, "MIGRATION", 8 },
		{ VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, "MIG_DATA_SIZE", 8 },
		{ VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, "MIG_PRECOPY_INFOv2", 0 },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_START, "DMA_LOGGING_START", 24 },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, "DMA_LOGGING_REPORT", 32 },
		{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, "MIG_DEVICE_STATE", 8 },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, "DMA_LOGGING_STOP", 0 },
	};
	static const struct { unsigned flags; const char *name; } hows[] = {
		{ 0, "nothing" }, { GET, "GET" }, { SET, "SET" }, { GET | SET, "GET SET" }, { PROBE, "PROBE" },
		{ PROBE | GET, "PROBE GET" }, { PROBE | SET, "PROBE SET" }, { PROBE | GET | SET, "PROBE GET SET" },
	};
	char what[64], data[64];

	for (unsigned f = 0; f < sizeof(features) / sizeof(features[0]); f++) {
		begin("features");
		for (unsigned h = 0; h < sizeof(hows) / sizeof(hows[0]); h++) {
			/* What stopping means without a start is the driver's to say. */
			if (features[f].number == VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP && hows[h].flags == SET)
				continue;
			memset(data, 0, sizeof(data));
			snprintf(what, sizeof(what), "%s, %s", features[f].name, hows[h].name);
			T(what, feature(features[f].number | hows[h].flags, data, features[f].size));
		}
		if (!features[f].size)
			continue;
		snprintf(what, sizeof(what), "%s, too short", features[f].name);
		T(what, feature(features[f].number | (f % 2 ? SET : GET), NULL, features[f].size - 1));
	}
	reset();
}

static void what_it_can(void)
{
	uint64_t flags = 0, size = 0;

	begin("features");
	T("flags of MIGRATION", feature(GET | VFIO_DEVICE_FEATURE_MIGRATION, &flags, 8));
	note("%#llx", (unsigned long long)flags);
	T("stop_copy_length", feature(GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size, 8));
	note("%s", size ? "not 0" : "0");
	mig = (struct vfio_device_feature_mig_state){ 77, 77 };
	T("the state", feature(GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig, sizeof(mig)));
	note("%s, data_fd %d", mig.device_state < STATES ? states[mig.device_state] : "?", mig.data_fd);
}

/* ---- all ways ---- */

static void way(unsigned from, unsigned to)
{
	const int session = go_to(from);
	char what[64];
	long ret;
	int fd;

	snprintf(what, sizeof(what), "%s to %s", states[from], states[to]);
	ret = T(what, set_state(to));
	fd = mig.data_fd;
	note("data_fd %s, now %s", fd == -1 ? "-1" : fd == 55 ? "untouched" : "new", states[get_state()]);
	if (session >= 0)
		close(session);
	if (!ret && fd >= 0)
		close(fd);
}

static void ways(void)
{
	begin("states");
	for (unsigned from = 1; from < STATES; from++)
		for (unsigned to = 0; to <= 9; to++)
			way(from, to);
	reset();
	T("to 0xffffffff", set_state(0xffffffff));
	note("now %s", states[get_state()]);
}

/* ---- streams ---- */

static void stream_of_saving(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	char buf[64], path[64];
	struct stat st;
	int fd = go_to(VFIO_DEVICE_STATE_STOP_COPY), ret;

	begin("saving");
	T("flags", fcntl(fd, F_GETFL));
	T("close on exec", fcntl(fd, F_GETFD));
	T("fstat", fstat(fd, &st));
	note("mode %o", st.st_mode);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = (int)readlink(path, buf, sizeof(buf) - 1);
	T("link", ret > 11 ? 0 : -1);
	note("%.11s", buf);
	T("write", write(fd, "x", 1));
	T("lseek", lseek(fd, 0, SEEK_CUR));
	T("pread", pread(fd, buf, 1, 0));
	T("pwrite", pwrite(fd, "x", 1, 0));
	T("read nothing", read(fd, buf, 0));
	T("read to a bad address", read(fd, BAD, 16));
	T("precopy info in STOP_COPY", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	T("GET_API_VERSION", ioctl(fd, VFIO_GET_API_VERSION));
	T("another request", ioctl(fd, 0x1234));
	T("read", read(fd, buf, 7));
	while ((ret = (int)read(fd, buf, sizeof(buf))) > 0)
		;
	T("at the end", ret);
	T("after the end", read(fd, buf, sizeof(buf)));
	T("STOP", set_state(VFIO_DEVICE_STATE_STOP));
	T("read after STOP", read(fd, buf, 8));
	T("precopy info after STOP", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	T("STOP_COPY again", set_state(VFIO_DEVICE_STATE_STOP_COPY));
	note("%s", mig.data_fd >= 0 && mig.data_fd != 55 ? "a new descriptor" : "none");
	T("read the old one", read(fd, buf, 8));
	T("read the new one", read(mig.data_fd, buf, 8));
	close(fd);
	fd = mig.data_fd;
	T("reset", ioctl(dev, VFIO_DEVICE_RESET));
	note("now %s", states[get_state()]);
	T("read after reset", read(fd, buf, 8));
	close(fd);
}

static void stream_of_precopy(void)
{
	struct vfio_precopy_info info;
	struct pollfd p = { .events = POLLIN };
	uint64_t first;
	char buf[64];
	int fd = go_to(VFIO_DEVICE_STATE_PRE_COPY), ret;

	begin("precopy");
	memset(&info, 0xee, sizeof(info));
	info.argsz = sizeof(info);
	T("info", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	note("flags %#x, argsz %u, initial %s, dirty %llu", info.flags, info.argsz, info.initial_bytes ? "not 0" : "0",
	     (unsigned long long)info.dirty_bytes);
	first = info.initial_bytes;
	info.argsz = 64;
	T("info, argsz 64", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	note("argsz %u", info.argsz);
	info.argsz = 16;
	T("info, argsz 16", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	T("info, NULL", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, NULL));
	p.fd = fd;
	T("poll", poll(&p, 1, 0));
	T("read 5", read(fd, buf, 5));
	info.argsz = sizeof(info);
	T("info after 5 bytes", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	note("initial less by %llu", (unsigned long long)(first - info.initial_bytes));
	while ((ret = (int)read(fd, buf, sizeof(buf))) > 0)
		;
	T("info at the end", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	note("initial %llu, dirty %llu", (unsigned long long)info.initial_bytes, (unsigned long long)info.dirty_bytes);
	T("PRE_COPY_P2P", set_state(VFIO_DEVICE_STATE_PRE_COPY_P2P));
	T("info in PRE_COPY_P2P", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	T("STOP_COPY", set_state(VFIO_DEVICE_STATE_STOP_COPY));
	T("read on", read(fd, buf, 8));
	close(fd);

	fd = go_to(VFIO_DEVICE_STATE_PRE_COPY);
	T("RUNNING", set_state(VFIO_DEVICE_STATE_RUNNING));
	T("read in RUNNING", read(fd, buf, 8));
	T("info in RUNNING", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	close(fd);

	T("MIG_PRECOPY_INFOv2", feature(SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL, 0));
	fd = go_to(VFIO_DEVICE_STATE_PRE_COPY);
	memset(&info, 0xee, sizeof(info));
	info.argsz = sizeof(info);
	T("info, v2", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	note("flags %#x", info.flags);
	close(fd);
}

static void stream_of_resuming(void)
{
	static char stream[1 << 20];
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	char buf[8];
	ssize_t n, total = 0;
	int fd = go_to(VFIO_DEVICE_STATE_STOP_COPY);

	begin("resuming");
	while ((n = read(fd, stream + total, 100)) > 0)
		total += n;
	close(fd);
	fd = go_to(VFIO_DEVICE_STATE_RESUMING);
	T("flags", fcntl(fd, F_GETFL));
	T("read", read(fd, buf, 4));
	T("write nothing", write(fd, "", 0));
	T("write from a bad address", write(fd, BAD, 16));
	T("lseek", lseek(fd, 0, SEEK_CUR));
	T("pwrite", pwrite(fd, "x", 1, 0));
	T("precopy info", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	for (n = 0; n < total; n += 5)
		need(write(fd, stream + n, total - n < 5 ? total - n : 5) > 0, "write");
	T("STOP", set_state(VFIO_DEVICE_STATE_STOP));
	note("now %s", states[get_state()]);
	T("write after STOP", write(fd, "x", 1));
	T("RUNNING", set_state(VFIO_DEVICE_STATE_RUNNING));
	close(fd);

	fd = go_to(VFIO_DEVICE_STATE_RESUMING);
	T("STOP without a byte", set_state(VFIO_DEVICE_STATE_STOP));
	note("now %s", states[get_state()]);
	close(fd);
	fd = go_to(VFIO_DEVICE_STATE_RESUMING);
	need(write(fd, stream, (size_t)total / 2) > 0, "write");
	T("RUNNING with half a stream", set_state(VFIO_DEVICE_STATE_RUNNING));
	note("now %s", states[get_state()]);
	T("reset", ioctl(dev, VFIO_DEVICE_RESET));
	note("now %s", states[get_state()]);
	T("write after reset", write(fd, "x", 1));
	close(fd);
}

static void no_descriptor_left(void)
{
	int last = -1, fd;

	reset();
	begin("lifetimes");
	while ((fd = dup(0)) >= 0)
		last = fd;
	T("STOP_COPY without a free descriptor", set_state(VFIO_DEVICE_STATE_STOP_COPY));
	note("data_fd %s, now %s", mig.data_fd == 55 ? "untouched" : "written", states[get_state()]);
	for (; last > 2; last--)
		if (last != dev && last != group && last != container)
			close(last);
	reset();
	fd = go_to(VFIO_DEVICE_STATE_STOP_COPY);
	close(dev);
	T("read after the device is closed", read(fd, &last, sizeof(last)));
	close(fd);
	dev = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
}

/* ---- the log ---- */

static struct vfio_device_feature_dma_logging_range ranges[300];

static void start_log(const char *what, uint64_t page_size, unsigned count, const void *where)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = page_size, .num_ranges = count, .ranges = (uintptr_t)where,
	};

	if (!T(what, feature(SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control, sizeof(control))))
		feature(SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
}

static void range(unsigned i, uint64_t iova, uint64_t length)
{
	ranges[i].iova = iova;
	ranges[i].length = length;
}

static void log_ranges(void)
{
	begin("DMA logging");
	range(0, 0, 0x10000);
	start_log("one range", 4096, 1, ranges);
	start_log("page size 0", 0, 1, ranges);
	start_log("page size 1", 1, 1, ranges);
	start_log("page size 2048", 2048, 1, ranges);
	start_log("page size 2 MiB, smaller range", 2 << 20, 1, ranges);
	start_log("page size 2^63", 1ull << 63, 1, ranges);
	start_log("no range", 4096, 0, ranges);
	start_log("bad address", 4096, 1, BAD);
	start_log("bad address, 257 ranges", 4096, 257, BAD);
	range(0, 0, 0);
	start_log("length 0", 4096, 1, ranges);
	range(0, 0, 0x1001);
	start_log("length not aligned", 4096, 1, ranges);
	range(0, 1, 0x1000);
	start_log("iova not aligned", 4096, 1, ranges);
	range(0, ~0ull - 4095, 0x1000);
	start_log("the last page", 4096, 1, ranges);
	range(0, ~0ull - 4095, 0x2000);
	start_log("past the last page", 4096, 1, ranges);
	range(0, 0, 0x10000);
	range(1, 0x8000, 0x10000);
	start_log("ranges that overlap", 4096, 2, ranges);
	range(1, 0, 0x10000);
	start_log("the same range twice", 4096, 2, ranges);
	range(1, 0x10000, 0x10000);
	start_log("ranges side by side", 4096, 2, ranges);
	for (unsigned i = 0; i < 300; i++)
		range(i, (uint64_t)i << 20, 4096);
	start_log("256 ranges", 4096, 256, ranges);
	start_log("257 ranges", 4096, 257, ranges);
}

static void report(const char *what, uint64_t iova, uint64_t length, uint64_t page_size, void *bitmap)
{
	struct vfio_device_feature_dma_logging_report r = { iova, length, page_size, (uintptr_t)bitmap };

	T(what, feature(GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &r, sizeof(r)));
}

static void log_reports(void)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = 4096, .num_ranges = 1, .ranges = (uintptr_t)ranges,
	};
	uint64_t bits[64] = { 0 };

	range(0, 0, 0x10000);
	need(!feature(SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control, sizeof(control)), "logging");
	report("report", 0, 0x10000, 4096, bits);
	report("report, page size 0", 0, 0x10000, 0, bits);
	report("report, page size 1", 0, 0x10000, 1, bits);
	report("report, page size 2048", 0, 0x10000, 2048, bits);
	report("report, page size 3000", 0, 0x10000, 3000, bits);
	report("report, page size 64 KiB", 0, 0x10000, 65536, bits);
	report("report, page size 2 MiB, smaller range", 0, 0x10000, 2 << 20, bits);
	report("report, length 0", 0, 0, 4096, bits);
	report("report, iova not aligned", 1, 0x10000, 4096, bits);
	report("report, length not aligned", 0, 0x1001, 4096, bits);
	report("report, outside of the range", 0x1000000, 0x10000, 4096, bits);
	report("report, past the end", ~0ull - 4095, 0x2000, 4096, bits);
	report("report, the last page", ~0ull - 4095, 4096, 4096, bits);
	report("report, nothing dirty and a bad address", 0, 0x10000, 4096, BAD);
	T("stop", feature(SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2) {
		fprintf(stderr, "usage: migration DEVICE\n");
		return 2;
	}
	open_device(argv[1], MTTY_UUID);
	what_it_can();
	feature_methods();
	ways();
	stream_of_saving();
	stream_of_precopy();
	stream_of_resuming();
	log_ranges();
	log_reports();
	no_descriptor_left();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
