/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bars.c - regions of a PCI device: what is told of them, reading, writing and mapping them.
 *
 * usage: bars NAME=ADDRESS...    the devices of config.c; see rows.h for what is printed
 *
 * What registers hold is the device's and not shown, but for the MSI-X table, edu's first registers and BARs that are
 * memory (prefetchable ones: of ivshmem and vga).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "tests/conformance/calls.h"

static char name[32];
static struct ctx x;
static int d;
static struct vfio_region_info regions[16];
static uint8_t big[64 * 1024];

static uint64_t place(unsigned index, uint64_t off) { return ((uint64_t)index << 40) + off; }

static void set_command(uint16_t val) { pwrite(d, &val, 2, place(VFIO_PCI_CONFIG_REGION_INDEX, 4)); }

#define WHAT(...) ({ static char what_[160]; snprintf(what_, sizeof(what_), __VA_ARGS__); what_; })

static const char *region_name(unsigned index)
{
	static char text[16];

	snprintf(text, sizeof(text), index < 6 ? "BAR%u" : index == 6 ? "ROM" : index == 7 ? "config" : index == 8 ? "VGA" : "region %u", index);
	return text;
}

/* ---- signals --------------------------------------------------------------------------------- */

static sigjmp_buf back;
static void on_signal(int sig) { siglongjmp(back, sig); }

/* Load or store at @p; the signal that it got, or 0. */
static int load(const volatile void *p, unsigned len)
{
	int sig = sigsetjmp(back, 1);

	if (sig)
		return sig;
	switch (len) {
	case 1: (void)*(const volatile uint8_t *)p; break;
	case 2: (void)*(const volatile uint16_t *)p; break;
	case 4: (void)*(const volatile uint32_t *)p; break;
	default: (void)*(const volatile uint64_t *)p; break;
	}
	return 0;
}

static int store(volatile void *p, uint32_t val)
{
	int sig = sigsetjmp(back, 1);

	if (!sig)
		*(volatile uint32_t *)p = val;
	return sig;
}

/* ---- info ------------------------------------------------------------------------------------ */

static void note_caps(const void *info, uint32_t argsz, uint32_t at)
{
	while (at && at + sizeof(struct vfio_info_cap_header) <= argsz) {
		const struct vfio_info_cap_header *cap = (const void *)((const char *)info + at);

		note(", at %u capability %u v%u next %u", at, cap->id, cap->version, cap->next);
		at = cap->next;
	}
}

static void infos(void)
{
	static const uint32_t argszs[] = { 0, 8, 16, 31, 32, 33, 39, 40, 41, 47, 48, 64, 256, ~0u };
	union { struct vfio_region_info info; uint8_t bytes[256]; } r;

	for (unsigned index = 0; index < 12; index++) {
		memset(&r, 0xa5, sizeof(r));
		r.info.argsz = sizeof(r);
		r.info.index = index < 10 ? index : index == 10 ? 1000 : ~0u;
		T(WHAT("info of %s", region_name(r.info.index)), ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
		note("argsz %u flags %#x cap_offset %#x size 0x%llx offset 0x%llx", r.info.argsz, r.info.flags, r.info.cap_offset,
		     (unsigned long long)r.info.size, (unsigned long long)r.info.offset);
		if (r.info.flags & VFIO_REGION_INFO_FLAG_CAPS && r.info.flags != 0xa5a5a5a5)
			note_caps(&r, r.info.argsz, r.info.cap_offset);
		if (index < 9) {
			const bool good = r.info.flags != 0xa5a5a5a5;

			regions[index] = r.info;
			regions[index].size = good ? r.info.size : 0;
			regions[index].flags = good ? r.info.flags : 0;
		}
	}
	for (unsigned index = 0; index < 6; index++)
		for (size_t i = 0; regions[index].flags & VFIO_REGION_INFO_FLAG_CAPS && i < sizeof(argszs) / sizeof(*argszs); i++) {
			memset(&r, 0, sizeof(r));
			r.info.argsz = argszs[i];
			r.info.index = index;
			T(WHAT("info of a BAR with a capability, argsz %u", argszs[i]), ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r));
			note("argsz %u flags %#x cap_offset %u size 0x%llx", r.info.argsz, r.info.flags, r.info.cap_offset,
			     (unsigned long long)r.info.size);
			note_caps(&r, r.info.argsz < sizeof(r) ? r.info.argsz : sizeof(r), r.info.cap_offset);
		}
	T("info, bad pointer", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, BAD));
}

/* ---- pread and pwrite ------------------------------------------------------------------------ */

static void lengths(unsigned index)
{
	static const unsigned lens[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 31, 64, 100, 4095, 4096, 4097, 8192 };
	static const unsigned offs[] = { 0, 1, 2, 3, 4, 7, 8 };
	const uint64_t size = regions[index].size;
	const char *n = region_name(index);

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		T(WHAT("%s: read %u bytes", n, lens[i]), pread(d, big, lens[i], place(index, 0)));
		if (lens[i] <= size)
			T(WHAT("%s: read %u bytes up to the end", n, lens[i]), pread(d, big, lens[i], place(index, size - lens[i])));
		T(WHAT("%s: read %u bytes, the end after 1", n, lens[i]), pread(d, big, lens[i], place(index, size - 1)));
		T(WHAT("%s: read %u bytes, the end after 6", n, lens[i]), pread(d, big, lens[i], place(index, size - 6)));
		T(WHAT("%s: read %u bytes at the end", n, lens[i]), pread(d, big, lens[i], place(index, size)));
	}
	for (size_t i = 0; i < sizeof(offs) / sizeof(*offs); i++)
		for (unsigned len = 1; len <= 8; len *= 2)
			T(WHAT("%s: read %u bytes at %u", n, len, offs[i]), pread(d, big, len, place(index, offs[i])));
	T(WHAT("%s: read 4 bytes a page beyond the end", n), pread(d, big, 4, place(index, size + PG)));
	T(WHAT("%s: read 4 bytes at the last offset", n), pread(d, big, 4, place(index, (1ull << 40) - 4)));
	T(WHAT("%s: read to nowhere", n), pread(d, BAD, 4, place(index, 0)));
	T(WHAT("%s: read 0 bytes to nowhere", n), pread(d, BAD, 0, place(index, 0)));
	T(WHAT("%s: write from nowhere", n), pwrite(d, BAD, 4, place(index, 0)));
}

/* Writes go where little happens: the last 8 bytes. */
static void writes(unsigned index)
{
	const uint64_t size = regions[index].size;
	const char *n = region_name(index);
	uint8_t zeros[16] = { 0 };

	for (unsigned len = 0; len <= 9; len++) {
		T(WHAT("%s: write %u bytes, the end after 8", n, len), pwrite(d, zeros, len, place(index, size - 8)));
		T(WHAT("%s: write %u bytes, the end after 3", n, len), pwrite(d, zeros, len, place(index, size - 3)));
		T(WHAT("%s: write %u bytes at the end", n, len), pwrite(d, zeros, len, place(index, size)));
	}
}

/* The same offsets of regions that are not there, or not to be read. */
static void absent(unsigned index)
{
	const char *n = region_name(index);

	T(WHAT("%s: read 4 bytes", n), pread(d, big, 4, place(index, 0)));
	T(WHAT("%s: read 0 bytes", n), pread(d, big, 0, place(index, 0)));
	T(WHAT("%s: write 4 bytes", n), pwrite(d, "\0\0\0", 4, place(index, 0)));
	T(WHAT("%s: map a page", n), try_mmap(d, PG, PROT_READ, MAP_SHARED, place(index, 0)));
}

static void half_buffers(unsigned index)
{
	uint8_t *pages = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = pages + PG;
	const char *n = region_name(index);

	munmap(end, PG);
	memset(end - 8, 0xaa, 8);
	T(WHAT("%s: read 8 bytes, 4 there", n), pread(d, end - 4, 8, place(index, 0)));
	T(WHAT("%s: read 16 bytes, 8 there", n), pread(d, end - 8, 16, place(index, 0)));
	if (regions[index].size >= 16)
		T(WHAT("%s: write 16 bytes, 8 there", n), pwrite(d, end - 8, 16, place(index, regions[index].size - 16)));
	if (regions[index].size >= 2 * PG)
		T(WHAT("%s: read two pages, one there", n), pread(d, pages, 2 * PG, place(index, 0)));
	munmap(pages, PG);
}

/* What a BAR that is memory holds after such a write. */
static void memory(unsigned index)
{
	static const unsigned places[][2] = { { 0, 8 }, { 8, 4 }, { 13, 3 }, { 17, 8 }, { 31, 1 }, { 40, 100 }, { 4090, 12 } };
	uint8_t *pages = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = pages + PG;
	const char *n = region_name(index);
	volatile uint8_t *m;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		for (unsigned k = 0; k < places[i][1]; k++)
			big[k] = (uint8_t)(0x10 * i + k);
		T(WHAT("%s: write %u bytes at %u of memory", n, places[i][1], places[i][0]), pwrite(d, big, places[i][1], place(index, places[i][0])));
		pread(d, big + 4096, places[i][1], place(index, places[i][0]));
		note("%s", memcmp(big, big + 4096, places[i][1]) ? "reads otherwise" : "reads the same");
	}
	memset(big, 0, 64);
	pwrite(d, big, 64, place(index, 0));
	munmap(end, PG);
	memset(end - 32, 0x77, 32);
	T(WHAT("%s: write 24 bytes, 13 there", n), pwrite(d, end - 13, 24, place(index, 0)));
	pread(d, big, 24, place(index, 0));
	note("the 7th is %02x, the 9th %02x, the 13th %02x", big[6], big[8], big[12]);
	memset(big, 0x55, 64);
	pwrite(d, big, 64, place(index, 0));
	memset(end - 32, 0x77, 32);
	T(WHAT("%s: read 24 bytes, 13 there", n), pread(d, end - 13, 24, place(index, 0)));
	note("the 7th is %02x, the 9th %02x, the 13th %02x", end[-7], end[-5], end[-1]);
	munmap(pages, PG);
	m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, place(index, 0));
	if (m == MAP_FAILED)
		return;
	m[100] = 0x42;
	T(WHAT("%s: read what was stored in its mapping", n), pread(d, big, 1, place(index, 100)));
	note("%02x", big[0]);
	big[0] = 0x24;
	T(WHAT("%s: write what is loaded from its mapping", n), pwrite(d, big, 1, place(index, 101)));
	note("%02x", m[101]);
	T(WHAT("%s: write from its own mapping", n), pwrite(d, (void *)(m + 100), 2, place(index, 200)));
	note("%02x %02x", m[200], m[201]);
	T(WHAT("%s: read to its own mapping", n), pread(d, (void *)(m + 300), 2, place(index, 200)));
	note("%02x %02x", m[300], m[301]);
	munmap((void *)m, PG);
}

/* Without pread: positions of the descriptor itself, vectors. */
static void positions(void)
{
	struct iovec iov[2] = { { big, 4 }, { big + 4, 4 } };

	T("lseek to 4", lseek(d, 4, SEEK_SET));
	T("lseek to the end", lseek(d, 0, SEEK_END));
	T("read 4 bytes without an offset", read(d, big, 4));
	T("read 4 bytes more", read(d, big, 4));
	T("write 4 bytes without an offset", write(d, big, 4));
	T("readv, 2 times 4 bytes", readv(d, iov, 2));
	T("preadv of config, 2 times 4 bytes", preadv(d, iov, 2, place(7, 0)));
	T("pwritev of config, 2 times 4 bytes", pwritev(d, iov, 2, place(7, 0)));
	T("preadv2 with RWF_NOWAIT", preadv2(d, iov, 2, place(7, 0), RWF_NOWAIT));
	T("preadv2 with RWF_HIPRI", preadv2(d, iov, 2, place(7, 0), RWF_HIPRI));
	T("preadv2 with an unknown flag", preadv2(d, iov, 2, place(7, 0), 1 << 30));
	T("pwritev2 with RWF_DSYNC", pwritev2(d, iov, 2, place(7, 0), RWF_DSYNC));
	T("pwritev2 with RWF_APPEND", pwritev2(d, iov, 2, place(7, 0), RWF_APPEND));
	T("pwritev2 with RWF_HIPRI", pwritev2(d, iov, 2, place(7, 0), RWF_HIPRI));
	T("preadv across the end of config", preadv(d, iov, 2, place(7, regions[7].size - 4)));
	T("pread at -1", pread(d, big, 4, -1));
	T("pread at the largest offset", pread(d, big, 4, INT64_MAX));
	T("pread at the largest offset, no bytes", pread(d, big, 0, INT64_MAX));
}

/* What only ordinary files have. */
static void as_file(void)
{
	int null = open("/dev/null", O_RDWR), pipes[2];
	off_t at = place(7, 0);

	if (pipe(pipes))
		return;
	T("ftruncate", ftruncate(d, 4096));
	T("ftruncate to -1", ftruncate(d, -1));
	T("fsync", fsync(d));
	T("fdatasync", fdatasync(d));
	T("fallocate", fallocate(d, 0, 0, 4096));
	T("posix_fadvise", (errno = posix_fadvise(d, 0, 4096, POSIX_FADV_WILLNEED)) ? -1 : 0);
	T("readahead", readahead(d, 0, 4096));
	T("sync_file_range", sync_file_range(d, 0, 4096, SYNC_FILE_RANGE_WRITE));
	T("sendfile from it", sendfile(null, d, &at, 4));
	T("sendfile to it", sendfile(d, null, NULL, 4));
	at = place(7, 0);
	T("splice from it", splice(d, &at, pipes[1], NULL, 4, 0));
	write(pipes[1], "\0\0\0", 4);
	at = place(7, 0xc);
	T("splice to it", splice(pipes[0], NULL, d, &at, 4, 0));
	T("copy_file_range from it", copy_file_range(d, &at, null, NULL, 4, 0));
	T("flock", flock(d, LOCK_EX | LOCK_NB));
	T("flock again", flock(d, LOCK_UN));
	close(null);
	close(pipes[0]);
	close(pipes[1]);
}

/* BARs of a size and kind that were looked at before are not looked at again. */
static bool seen_before(const struct vfio_region_info *r)
{
	static struct { uint64_t size; uint32_t flags; } seen[16];
	static unsigned num;
	const uint64_t size = r->size < PG ? r->size : r->size < 64 * KB ? 16 * KB : MB;

	for (unsigned i = 0; i < num; i++)
		if (seen[i].size == size && seen[i].flags == r->flags)
			return true;
	if (num < 16)
		seen[num++] = (typeof(seen[0])){ size, r->flags };
	return false;
}

/* ---- memory and I/O decoding ----------------------------------------------------------------- */

static void decoding(unsigned index)
{
	const bool can_map = regions[index].flags & VFIO_REGION_INFO_FLAG_MMAP;
	volatile uint32_t *m = MAP_FAILED;

	for (uint16_t command = 0; command < 4; command++) {
		set_command(command);
		T(WHAT("%s: read, command %u", region_name(index), command), pread(d, big, 4, place(index, regions[index].size - 4)));
		T(WHAT("%s: write, command %u", region_name(index), command), pwrite(d, "\0\0\0", 4, place(index, regions[index].size - 4)));
		if (regions[index].size >= 16)
			T(WHAT("%s: read 16 bytes across the middle, command %u", region_name(index), command),
			  pread(d, big, 16, place(index, regions[index].size / 2 - 8)));
		T(WHAT("%s: read from nothing, command %u", region_name(index), command), pread(d, BAD, 4, place(index, 0)));
		if (!can_map)
			continue;
		m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, place(index, 0));
		T(WHAT("%s: map, command %u", region_name(index), command), m == MAP_FAILED ? -1 : 0);
		T(WHAT("%s: load, command %u (signal)", region_name(index), command), load(m, 4));
		set_command(command ^ 2);
		T(WHAT("%s: load from it, command %u since (signal)", region_name(index), command ^ 2), load(m, 4));
		T(WHAT("%s: store to it, command %u since (signal)", region_name(index), command ^ 2), store(m + 8, 0));
		munmap((void *)m, PG);
	}
	set_command(3);
}

/* ---- mappings ---------------------------------------------------------------------------------- */

static void maps(unsigned index)
{
	static const struct { const char *text; int prot; } prots[] = {
		{ "nothing", PROT_NONE }, { "read", PROT_READ }, { "write", PROT_WRITE }, { "read and write", PROT_READ | PROT_WRITE },
		{ "exec", PROT_EXEC }, { "read and exec", PROT_READ | PROT_EXEC }, { "all", PROT_READ | PROT_WRITE | PROT_EXEC },
	};
	static const struct { const char *text; int flags; } kinds[] = {
		{ "shared", MAP_SHARED }, { "private", MAP_PRIVATE }, { "validated", MAP_SHARED_VALIDATE }, { "of no kind", 0 },
		{ "shared, populated", MAP_SHARED | MAP_POPULATE }, { "shared, locked", MAP_SHARED | MAP_LOCKED },
		{ "validated, synchronous", MAP_SHARED_VALIDATE | MAP_SYNC }, { "shared, of huge pages", MAP_SHARED | MAP_HUGETLB },
		{ "shared, anonymous", MAP_SHARED | MAP_ANONYMOUS },
	};
	const uint64_t size = regions[index].size, whole = (size + PG - 1) & ~(PG - 1);
	const int RW = PROT_READ | PROT_WRITE;
	const char *n = region_name(index);

	for (size_t p = 0; p < sizeof(prots) / sizeof(*prots); p++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
			T(WHAT("%s: map for %s, %s", n, prots[p].text, kinds[k].text), try_mmap(d, PG, prots[p].prot, kinds[k].flags, place(index, 0)));
	T(WHAT("%s: map all", n), try_mmap(d, size, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map a page more than all", n), try_mmap(d, whole + PG, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map a byte more than all", n), try_mmap(d, size + 1, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map no bytes", n), try_mmap(d, 0, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map 1 byte", n), try_mmap(d, 1, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map 100 bytes", n), try_mmap(d, 100, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map 4097 bytes", n), try_mmap(d, 4097, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map the last page", n), try_mmap(d, PG, RW, MAP_SHARED, place(index, whole - PG)));
	T(WHAT("%s: map two pages from the last", n), try_mmap(d, 2 * PG, RW, MAP_SHARED, place(index, whole - PG)));
	T(WHAT("%s: map behind the end", n), try_mmap(d, PG, RW, MAP_SHARED, place(index, whole)));
	T(WHAT("%s: map from offset 1", n), try_mmap(d, PG, RW, MAP_SHARED, place(index, 1)));
	T(WHAT("%s: map from offset 2048", n), try_mmap(d, PG, RW, MAP_SHARED, place(index, 2048)));
	T(WHAT("%s: map the last page of the region's range", n), try_mmap(d, PG, RW, MAP_SHARED, place(index, (1ull << 40) - PG)));
	T(WHAT("%s: map across the region's range", n), try_mmap(d, 2 * PG, RW, MAP_SHARED, place(index, (1ull << 40) - PG)));
	T(WHAT("%s: map 1 GiB", n), try_mmap(d, 1ull << 30, RW, MAP_SHARED, place(index, 0)));
	T(WHAT("%s: map 1 TiB", n), try_mmap(d, 1ull << 40, RW, MAP_SHARED, place(index, 0)));
}

/* What can be done to a mapping that is there. */
static void mapping(unsigned index)
{
	const char *n = region_name(index);
	const uint64_t len = regions[index].size >= 4 * PG ? 4 * PG : PG;
	uint8_t *m = mmap(NULL, len, PROT_READ, MAP_SHARED, d, place(index, 0)), *moved, *old;
	int fd = open("/dev/null", O_RDONLY);

	T(WHAT("%s: a mapping to read", n), m == MAP_FAILED ? -1 : 0);
	T(WHAT("%s: load 1 byte (signal)", n), load(m, 1));
	T(WHAT("%s: load 2 bytes (signal)", n), load(m + 2, 2));
	T(WHAT("%s: load 4 bytes (signal)", n), load(m + 4, 4));
	T(WHAT("%s: load 8 bytes (signal)", n), load(m + 8, 8));
	T(WHAT("%s: store to what is mapped to read (signal)", n), store(m + 16, 0));
	T(WHAT("%s: mprotect to read and write", n), mprotect(m, len, PROT_READ | PROT_WRITE));
	T(WHAT("%s: store now (signal)", n), store(m + 16, 0));
	T(WHAT("%s: mprotect to exec", n), mprotect(m, len, PROT_READ | PROT_EXEC));
	T(WHAT("%s: mprotect to nothing", n), mprotect(m, len, PROT_NONE));
	T(WHAT("%s: load from that (signal)", n), load(m, 4));
	T(WHAT("%s: mprotect to read", n), mprotect(m, len, PROT_READ));
	T(WHAT("%s: load again (signal)", n), load(m, 4));
	T(WHAT("%s: msync", n), msync(m, len, MS_SYNC));
	T(WHAT("%s: msync, asynchronous", n), msync(m, len, MS_ASYNC));
	T(WHAT("%s: msync, invalidating", n), msync(m, len, MS_INVALIDATE));
	T(WHAT("%s: msync, both ways", n), msync(m, len, MS_SYNC | MS_ASYNC));
	T(WHAT("%s: msync from its second byte", n), msync(m + 1, len, MS_SYNC));
	T(WHAT("%s: mlock", n), mlock(m, len));
	T(WHAT("%s: munlock", n), munlock(m, len));
	T(WHAT("%s: madvise WILLNEED", n), madvise(m, len, MADV_WILLNEED));
	T(WHAT("%s: madvise DONTNEED", n), madvise(m, len, MADV_DONTNEED));
	T(WHAT("%s: madvise REMOVE", n), madvise(m, len, MADV_REMOVE));
	T(WHAT("%s: madvise DONTFORK", n), madvise(m, len, MADV_DONTFORK));
	T(WHAT("%s: madvise DOFORK", n), madvise(m, len, MADV_DOFORK));
	T(WHAT("%s: madvise HUGEPAGE", n), madvise(m, len, MADV_HUGEPAGE));
	T(WHAT("%s: madvise DODUMP", n), madvise(m, len, MADV_DODUMP));
	T(WHAT("%s: load after all that (signal)", n), load(m, 4));
	T(WHAT("%s: mremap larger", n), mremap(m, len, len + PG, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	T(WHAT("%s: mremap larger in place", n), mremap(m, len, len + PG, 0) == MAP_FAILED ? -1 : 0);
	old = m;
	moved = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m = mremap(m, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	T(WHAT("%s: mremap to another place", n), m == MAP_FAILED ? -1 : 0);
	if (m == MAP_FAILED)
		m = old;
	else
		T(WHAT("%s: load from the old place (signal)", n), load(old, 4));
	T(WHAT("%s: load from the place where it is (signal)", n), load(m, 4));
	if (len > PG) {
		T(WHAT("%s: munmap its second page", n), munmap(m + PG, PG));
		T(WHAT("%s: load from the first (signal)", n), load(m, 4));
		T(WHAT("%s: load from the second (signal)", n), load(m + PG, 4));
		T(WHAT("%s: load from the third (signal)", n), load(m + 2 * PG, 4));
		T(WHAT("%s: map memory over its third page", n),
		  mmap(m + 2 * PG, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
		T(WHAT("%s: load from that (signal)", n), load(m + 2 * PG, 4));
	}
	T(WHAT("%s: write a file from it", n), write(fd, m, 4));
	close(fd);
	T(WHAT("%s: munmap", n), munmap(m, len));
	T(WHAT("%s: load after that (signal)", n), load(m, 4));
}

/* ---- the MSI-X table -------------------------------------------------------------------------- */

static unsigned find_msix(void)
{
	uint8_t at = 0;
	uint16_t head = 0;

	pread(d, &at, 1, place(7, 0x34));
	for (unsigned n = 0; at && n < 48; n++, at = head >> 8) {
		pread(d, &head, 2, place(7, at));
		if ((head & 0xff) == 0x11)
			return at;
	}
	return 0;
}

static void msix_table(void)
{
	static const unsigned lens[] = { 1, 2, 4, 8, 16, 32 };
	const unsigned at = find_msix();
	uint32_t table, index, off, val;
	uint16_t vectors;
	volatile uint32_t *m;

	if (!at)
		return;
	pread(d, &vectors, 2, place(7, at + 2));
	pread(d, &table, 4, place(7, at + 4));
	index = table & 7;
	off = table & ~7u;
	vectors = (vectors & 0x7ff) + 1;
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		memset(big, 0x11, 64);
		T(WHAT("MSI-X table: read %u bytes", lens[i]), pread(d, big, lens[i], place(index, off)));
		note("%02x, the last %02x", big[0], big[lens[i] - 1]);
		memset(big, 0x11, 64);
		T(WHAT("MSI-X table: read %u bytes at its end", lens[i]), pread(d, big, lens[i], place(index, off + 16 * vectors - lens[i])));
		note("%02x, the last %02x", big[0], big[lens[i] - 1]);
	}
	memset(big, 0, 64);
	T("MSI-X table: write 16 bytes", pwrite(d, big, 16, place(index, off)));
	note("%s", pread(d, big, 16, place(index, off)) == 16 && big[0] == 0xff ? "reads ones" : "reads something else");
	T("MSI-X table: read 16 bytes, 8 of them behind", pread(d, big, 16, place(index, off + 16 * vectors - 8)));
	note("%02x %02x", big[0], big[7]);
	T("MSI-X table: map it to read and write", try_mmap(d, PG, PROT_READ | PROT_WRITE, MAP_SHARED, place(index, off & ~0xfff)));
	m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, d, place(index, off & ~0xfff));
	if (m == MAP_FAILED)
		return;
	m += (off & 0xfff) / 4;
	T("MSI-X table: load vector control (signal)", load(m + 3, 4));
	note("0x%x", m[3]);
	T("MSI-X table: store address and data in the mapping (signal)", store(m, 0xfee00000) | store(m + 1, 0) | store(m + 2, 0x41));
	note("loads %x %x %x", m[0], m[1], m[2]);
	T("MSI-X table: store 0 in vector control (signal)", store(m + 3, 0));
	note("loads %x", m[3]);
	T("MSI-X table: read it meanwhile", pread(d, &val, 4, place(index, off)));
	note("%x", val);
	store(m + 3, 1);
	T("MSI-X table: write 0 to vector control by pwrite", pwrite(d, "\0\0\0", 4, place(index, off + 12)));
	note("loads %x", m[3]);
	munmap((void *)((uintptr_t)m & ~(PG - 1)), PG);
}

/* ---- the ROM and VGA -------------------------------------------------------------------------- */

static void rom(void)
{
	uint32_t addr;

	pread(d, &addr, 4, place(7, 0x30));
	/* a VGA device's is a copy in memory on a PC, which answers without memory decoding */
	for (uint16_t command = strcmp(name, "vga") ? 0 : 2; command < 3; command += 2)
		for (uint32_t on = 0; on < 2; on++) {
			uint32_t val = (addr & ~1u) | on;

			set_command(command);
			pwrite(d, &val, 4, place(7, 0x30));
			T(WHAT("ROM: read 4 bytes, command %u, enable bit %u", command, on), pread(d, big, 4, place(6, 0)));
			T(WHAT("ROM: read 4097 bytes, command %u, enable bit %u", command, on), pread(d, big, 4097, place(6, 0)));
			T(WHAT("ROM: map it, command %u, enable bit %u", command, on), try_mmap(d, PG, PROT_READ, MAP_SHARED, place(6, 0)));
		}
	pwrite(d, &addr, 4, place(7, 0x30));
	set_command(3);
	T("ROM: write", pwrite(d, big, 4, place(6, 0)));
	T("ROM: write 0 bytes", pwrite(d, big, 0, place(6, 0)));
}

static void vga(void)
{
	static const unsigned places[][2] = {
		{ 0, 4 }, { 0x3af, 1 }, { 0x3b0, 1 }, { 0x3b0, 4 }, { 0x3b0, 12 }, { 0x3b0, 13 }, { 0x3bb, 1 }, { 0x3bb, 2 }, { 0x3bc, 1 },
		{ 0x3c0, 1 }, { 0x3c0, 32 }, { 0x3c0, 33 }, { 0x3df, 1 }, { 0x3df, 4 }, { 0x3e0, 1 }, { 0x9ffff, 1 }, { 0x9fffe, 4 }, { 0xa0000, 4 },
		{ 0xa0000, 100 }, { 0xa0001, 3 }, { 0xb8000, 8 }, { 0xbffff, 1 }, { 0xbffff, 2 }, { 0xbfff8, 16 }, { 0xc0000, 1 }, { 0x100000, 4 },
	};

	for (uint16_t command = 0; command < 4; command += 3) {
		set_command(command);
		for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
			T(WHAT("VGA: read %u bytes at 0x%x, command %u", places[i][1], places[i][0], command), pread(d, big, places[i][1], place(8, places[i][0])));
	}
	T("VGA: read to nowhere", pread(d, BAD, 4, place(8, 0xa0000)));
	T("VGA: write 2 bytes at 0xb8000", pwrite(d, "A\7", 2, place(8, 0xb8000)));
	T("VGA: write 2 bytes at 0xc0000", pwrite(d, "A\7", 2, place(8, 0xc0000)));
	T("VGA: map it", try_mmap(d, PG, PROT_READ, MAP_SHARED, place(8, 0xa0000)));
}

/* ---- ioeventfds --------------------------------------------------------------------------------- */

static int ioeventfd(uint32_t argsz, uint32_t flags, uint64_t off, uint64_t data, int fd)
{
	struct vfio_device_ioeventfd io = { .argsz = argsz, .flags = flags, .offset = off, .data = data, .fd = fd };

	return ioctl(d, VFIO_DEVICE_IOEVENTFD, &io);
}

static void ioeventfds(void)
{
	int fd = eventfd(0, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK), null = open("/dev/null", O_RDWR);
	const unsigned whole = sizeof(struct vfio_device_ioeventfd);

	for (unsigned index = 0; index < 10; index++)
		for (unsigned len = 1; len <= 8; len *= 2) {
			const uint64_t size = index < 9 && regions[index].size ? regions[index].size : 4096;

			T(WHAT("ioeventfd: %s, %u bytes at the end", region_name(index), len), ioeventfd(whole, len, place(index, size - len), 0, fd));
			T(WHAT("ioeventfd: %s, %u bytes, away", region_name(index), len), ioeventfd(whole, len, place(index, size - len), 0, -1));
			T(WHAT("ioeventfd: %s, %u bytes, across the end", region_name(index), len), ioeventfd(whole, len, place(index, size - len + 1), 0, fd));
			T(WHAT("ioeventfd: %s, %u bytes, unaligned", region_name(index), len), ioeventfd(whole, len, place(index, size - 2 * len - 1), 0, fd));
			T(WHAT("ioeventfd: %s, %u bytes, unaligned, away", region_name(index), len), ioeventfd(whole, len, place(index, size - 2 * len - 1), 0, -1));
		}
	T("ioeventfd: argsz 0", ioeventfd(0, 4, 0, 0, fd));
	T("ioeventfd: argsz one too small", ioeventfd(whole - 5, 4, 0, 0, fd));
	T("ioeventfd: no size", ioeventfd(whole, 0, 0, 0, fd));
	T("ioeventfd: two sizes", ioeventfd(whole, 3, 0, 0, fd));
	T("ioeventfd: 16 bytes", ioeventfd(whole, 16, 0, 0, fd));
	T("ioeventfd: descriptor -2", ioeventfd(whole, 4, 0, 0, -2));
	T("ioeventfd: closed descriptor", ioeventfd(whole, 4, 0, 0, 999));
	T("ioeventfd: /dev/null", ioeventfd(whole, 4, 0, 0, null));
	T("ioeventfd: away, none there", ioeventfd(whole, 4, 0, 0, -1));
	T("ioeventfd: data wider than the size", ioeventfd(whole, 1, regions[0].size - 8, 0x1ff, fd));
	T("ioeventfd: the data that remains of it", ioeventfd(whole, 1, regions[0].size - 8, 0xff, other));
	T("ioeventfd: away by the data that remains", ioeventfd(whole, 1, regions[0].size - 8, 0xff, -1));
	T("ioeventfd: away by all the data", ioeventfd(whole, 1, regions[0].size - 8, 0x1ff, -1));
	T("ioeventfd: one place", ioeventfd(whole, 4, regions[0].size - 8, 1, fd));
	T("ioeventfd: the same place and data, another eventfd", ioeventfd(whole, 4, regions[0].size - 8, 1, other));
	T("ioeventfd: the same place, other data, the same eventfd", ioeventfd(whole, 4, regions[0].size - 8, 2, fd));
	T("ioeventfd: the same place, another size", ioeventfd(whole, 2, regions[0].size - 8, 1, fd));
	unsigned long made = 0;
	for (unsigned i = 0; i < 1100 && !ioeventfd(whole, 4, regions[0].size - 8, 1000 + i, fd); i++)
		made++;
	row("ioeventfd: as many as there can be", made, 0);
	T("ioeventfd: one more", ioeventfd(whole, 4, regions[0].size - 8, 5000, fd));
	T("ioeventfd: one away", ioeventfd(whole, 4, regions[0].size - 8, 1000, -1));
	T("ioeventfd: one more now", ioeventfd(whole, 4, regions[0].size - 8, 5000, fd));
	close(fd);
	close(other);
	close(null);
}

/* edu keeps the complement of what is written at 4. */
static void ioeventfd_effect(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	const uint64_t one = 1;
	uint32_t val;

	T("ioeventfd on edu's liveness", ioeventfd(sizeof(struct vfio_device_ioeventfd), 4, 4, 0x1234, fd));
	T("signal it", write(fd, &one, 8));
	usleep(50000);
	pread(d, &val, 4, 4);
	note("liveness 0x%x", val);
	pwrite(d, "\0\0\0", 4, 4);
	set_command(0);
	T("signal it without memory decoding", write(fd, &one, 8));
	usleep(50000);
	set_command(2);
	pread(d, &val, 4, 4);
	note("liveness 0x%x", val);
	T("close the eventfd, then take it away", close(fd));
	T("take it away", ioeventfd(sizeof(struct vfio_device_ioeventfd), 4, 4, 0x1234, -1));
}

static void edu_registers(void)
{
	static const unsigned lens[] = { 1, 2, 3, 4, 5, 8, 12 };

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		memset(big, 0x11, 16);
		T(WHAT("edu's id, %u bytes", lens[i]), pread(d, big, lens[i], 0));
		for (unsigned k = 0; k < lens[i]; k++)
			note(" %02x", big[k]);
	}
}

static bool open_device(const char *arg)
{
	const char *equals = strchr(arg, '=');

	snprintf(name, sizeof(name), "%.*s", (int)(equals - arg), arg);
	x = setup(equals + 1, VFIO_TYPE1v2_IOMMU, 1);
	d = x.d;
	return d >= 0;
}

static void ask(void)
{
	begin(name);
	infos();
	set_command(3);
	for (unsigned index = 0; index < 10; index++) {
		const struct vfio_region_info *r = &regions[index];

		if (index == 7)
			continue;
		if (index > 8 || !r->size) {
			absent(index);
			continue;
		}
		if (index == VFIO_PCI_VGA_REGION_INDEX) {
			vga();
			continue;
		}
		if (seen_before(r))
			continue;
		lengths(index);
		if (index == VFIO_PCI_ROM_REGION_INDEX) {
			rom();
			continue;
		}
		writes(index);
		half_buffers(index);
		decoding(index);
		if (r->flags & VFIO_REGION_INFO_FLAG_MMAP) {
			maps(index);
			mapping(index);
		} else {
			T(WHAT("%s: map a page", region_name(index)), try_mmap(d, PG, PROT_READ, MAP_SHARED, place(index, 0)));
		}
	}
	T("config: map a page", try_mmap(d, PG, PROT_READ, MAP_SHARED, place(7, 0)));
	T("region 9: map a page", try_mmap(d, PG, PROT_READ, MAP_SHARED, place(9, 0)));
	T("region 1000: map a page", try_mmap(d, PG, PROT_READ, MAP_SHARED, place(1000, 0)));
	msix_table();
}

int main(int argc, char **argv)
{
	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	for (int i = 1; i < argc; i++) {
		if (!strchr(argv[i], '=') || !open_device(argv[i])) {
			perror(argv[i]);
			return 1;
		}
		ask();
		if (!strcmp(name, "edu") || !strcmp(name, "virtio"))
			ioeventfds();
		if (!strcmp(name, "edu")) {
			positions();
			as_file();
			edu_registers();
			ioeventfd_effect();
		}
		if (!strcmp(name, "ivshmem") || !strcmp(name, "vga"))
			memory(strcmp(name, "vga") ? 2 : 0);
		teardown(x);
	}
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
