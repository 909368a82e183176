/* SPDX-License-Identifier: BSD-3-Clause */
/* rig.c - see rig.h. */
#include "tests/fuzz/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/mm/vma.h"

const char *const rig_names[RIG_GROUPS] = { "0000:01:00.0", "0000:02:00.0", "0000:00:10.0" };
const char *rig_iommu;
u8 *rig_arena, *rig_shadow, *rig_ubuf, *rig_bars;
static unsigned writers[RIG_PAGES]; /* mappings by which a device may write the page */
static char dir[64];

void rig_bug_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: BUG: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

/* ---- the input ---- */

void in_bytes(struct rig_input *in, void *buf, size_t len)
{
	size_t n = min(len, (size_t)(in->end - in->at));

	memcpy(buf, in->at, n);
	memset((u8 *)buf + n, 0, len - n);
	in->at += n;
}

u16 in_u16(struct rig_input *in) { u16 v; in_bytes(in, &v, sizeof(v)); return v; }
u32 in_u32(struct rig_input *in) { u32 v; in_bytes(in, &v, sizeof(v)); return v; }
u64 in_u64(struct rig_input *in) { u64 v; in_bytes(in, &v, sizeof(v)); return v; }

/* ---- faults: guarded accesses first, the fuzzer's handler for the rest ---- */

static struct sigaction others[65];

static void on_fault(int sig, siginfo_t *info, void *context)
{
	guard_fault();
	if (others[sig].sa_flags & SA_SIGINFO)
		others[sig].sa_sigaction(sig, info, context);
	else
		rig_bug("signal %d at %p", sig, info->si_addr); /* with this stack */
}

static void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	sigaction(SIGSEGV, &action, &others[SIGSEGV]);
	sigaction(SIGBUS, &action, &others[SIGBUS]);
}

/* ---- the machine ---- */

#define NO_REASON ": (no reason recorded)"

static void sink(const char *line)
{
	const size_t len = strlen(line), n = strlen(NO_REASON);

	if (len >= n && !strcmp(line + len - n, NO_REASON))
		rig_bug("%s", line);
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "%s\n", line);
}

static void remove_dir(void)
{
	machine_destroy(dir);
}

static void make_machine(void)
{
	struct machine_config *cfg = machine_config_new();
	const char *tmp = getenv("TMPDIR");
	int err = 0;

	rig_must(cfg);
	rig_must(!rig_iommu || !machine_config_set_iommu(cfg, rig_iommu));
	rig_must(!machine_config_add(cfg, "edu,dma_mask=0xffffffffffffffff"));
	rig_must(!machine_config_add(cfg, "nvme,size=1M"));
	rig_must(!machine_config_add(cfg, "edu,addr=0000:00:10.0,dma_mask=0xffffffffffffffff"));
	rig_must(!machine_config_add(cfg, "platdev"));
	rig_must(!machine_config_add(cfg, "pl330"));
	rig_must(!machine_config_add(cfg, "pcitest,addr=" RIG_PCITEST ",group=9"));
	snprintf(dir, sizeof(dir), "%.30s/softvfio-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	rig_must(mkdtemp(dir)); /* one that was killed has left its own */
	explain_begin();
	err = machine_create(dir, cfg);
	if (err)
		rig_bug("machine_create: %s", explain_take());
	machine_config_free(cfg);
	rig_must(!machine_attach_lazy(dir));
	err = machine_attach();
	if (err)
		rig_bug("machine_attach: %s", explain_take());
}

void rig_begin(void)
{
	static bool done;

	if (!done)
		catch_faults();
	done = true;
}

/* Pages with unmapped ones on either side. */
static u8 *pages(unsigned n, int prot)
{
	u8 *p = mmap(NULL, (n + 2) * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	rig_must(p != MAP_FAILED && !mprotect(p + PAGE_SIZE, n * PAGE_SIZE, prot));
	return p + PAGE_SIZE;
}

void rig_up(void)
{
	rig_arena = pages(RIG_PAGES, PROT_READ | PROT_WRITE);
	rig_shadow = pages(RIG_PAGES, PROT_READ | PROT_WRITE);
	rig_ubuf = pages(RIG_UBUF_BYTES / PAGE_SIZE, PROT_READ | PROT_WRITE);
	rig_bars = pages(RIG_BARS_PAGES, PROT_NONE);
	explain_enable();
	explain_set_sink(sink);
	if (!getenv("FUZZ_NO_TRACE"))
		trace_open(open(getenv("FUZZ_VERBOSE") ? "/dev/stderr" : "/dev/null", O_WRONLY | O_CLOEXEC));
	make_machine();
	atexit(remove_dir);
	rig_pattern();
}

void rig_renew(void)
{
	machine_detach();
	machine_destroy(dir);
	make_machine();
}

struct pci_dev *rig_pdev(unsigned group)
{
	return pci_get_device_by_name(rig_names[group]);
}

struct hw_device *rig_hw(unsigned group)
{
	return rig_pdev(group)->hw;
}

/* ---- calls ---- */

int rig_open(const char *path, unsigned flags)
{
	struct file *file;
	int fd = do_open(path, flags, &file);

	if (fd)
		return fd;
	fd = fd_publish(file, true);
	rig_must(fd >= 0);
	return fd;
}

void rig_close(int fd)
{
	struct file *file = fget(fd);

	rig_must(file);
	fd_uninstall(fd);
	close(fd);
	do_close(fd, file);
}

long rig_ioctl(int fd, unsigned cmd, unsigned long arg)
{
	struct file *file = fget(fd);
	long ret;

	rig_must(file);
	ret = do_ioctl(fd, file, cmd, arg);
	fput(file);
	return ret;
}

ssize_t rig_pread(int fd, void *buf, size_t len, u64 pos)
{
	struct file *file = fget(fd);
	ssize_t ret;

	rig_must(file);
	ret = do_read(fd, file, buf, len, &pos);
	fput(file);
	return ret;
}

ssize_t rig_pwrite(int fd, const void *buf, size_t len, u64 pos)
{
	struct file *file = fget(fd);
	ssize_t ret;

	rig_must(file);
	ret = do_write(fd, file, buf, len, &pos);
	fput(file);
	return ret;
}

int rig_mmap(int fd, unsigned page, u64 len, int prot, int flags, u64 off)
{
	struct file *file = fget(fd);
	const u64 addr = (uintptr_t)rig_bars + page * PAGE_SIZE;
	struct vm_area *vma;
	int ret;

	rig_must(file);
	ret = do_mmap(fd, file, addr, len, prot, flags, off, &vma);
	fput(file);
	if (ret)
		return ret;
	if (vma->last >= (uintptr_t)rig_bars + RIG_BARS_PAGES * PAGE_SIZE) { /* no room here for it */
		vma_put(vma);
		return -ENOMEM;
	}
	rig_must(!vma_remove(mm_self(), vma->start, vma->last - vma->start + 1));
	vma_insert(mm_self(), vma);
	return 0;
}

void rig_munmap(unsigned page, u64 len)
{
	rig_must(!vma_remove(mm_self(), (uintptr_t)rig_bars + page * PAGE_SIZE, len));
}

int rig_map_dma(int c, u32 flags, const void *vaddr, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = flags,
		.vaddr = (uintptr_t)vaddr, .iova = iova, .size = size };

	return (int)rig_ioctl(c, VFIO_IOMMU_MAP_DMA, (unsigned long)&map);
}

long rig_unmap_dma(int c, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = size };
	long ret = rig_ioctl(c, VFIO_IOMMU_UNMAP_DMA, (unsigned long)&unmap);

	return ret ? ret : (long)unmap.size;
}

u64 rig_mmio(unsigned page, u64 off, unsigned len, bool write, u64 val)
{
	u8 buf[64];

	for (unsigned i = 0; i < sizeof(buf); i += sizeof(val))
		memcpy(buf + i, &val, sizeof(val));
	mmio_access((uintptr_t)rig_bars + page * PAGE_SIZE + off, buf, len, write);
	memcpy(&val, buf, sizeof(val));
	return val;
}

/* ---- what was not to change ---- */

void rig_fill(u64 off, const void *buf, size_t len)
{
	off %= RIG_PAGES * PAGE_SIZE;
	len = min(len, (size_t)(RIG_PAGES * PAGE_SIZE - off));
	memcpy(rig_arena + off, buf, len);
	memcpy(rig_shadow + off, buf, len);
}

void rig_pattern(void)
{
	u32 *words = (u32 *)rig_arena;

	for (u32 i = 0; i < RIG_PAGES * PAGE_SIZE / 4; i++)
		words[i] = i * 2654435761u;
	memcpy(rig_shadow, rig_arena, RIG_PAGES * PAGE_SIZE);
	memset(writers, 0, sizeof(writers));
}

void rig_writable(unsigned first, unsigned n, bool on)
{
	for (unsigned i = first; i < first + n; i++) {
		rig_must(i < RIG_PAGES && (on || writers[i]));
		writers[i] += on ? 1 : -1u;
		if (!writers[i])
			memcpy(rig_shadow + i * PAGE_SIZE, rig_arena + i * PAGE_SIZE, PAGE_SIZE);
	}
}

void rig_check_arena(void)
{
	for (unsigned i = 0; i < RIG_PAGES; i++)
		if (!writers[i] && memcmp(rig_shadow + i * PAGE_SIZE, rig_arena + i * PAGE_SIZE, PAGE_SIZE))
			rig_bug("page %u of the arena changed, and no device may write it", i);
}
