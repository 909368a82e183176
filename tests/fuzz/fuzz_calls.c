/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_calls.c - system calls from fuzz bytes, held against a plain model of what is mapped.
 *
 * The model knows containers, groups, devices and mappings as a program that read the uAPI headers
 * would, and nothing of page tables.  For calls that it understands it says whether they work; after
 * each step, what it says is mapped must translate for the devices that it says are in the container,
 * and what is beside must not.  A page of memory that no device may write does not change (rig.h).
 *
 * Everything else (all other ioctls, config space, mapped BARs, interrupts, sysfs) is thrown in between.
 *
 * A container of the model outlives its descriptor as long as a group is in it; a group that lost its
 * device to another driver is forgotten, its descriptor is a "stray" that can only be asked and closed.
 */
#include "tests/fuzz/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/edu/regs.h"
#include "kernel/fs/kernfs.h"

#define CONTAINERS 6
#define MAPS 48
#define DEVICES 6
#define STRAYS 8
#define NO_DEVICE 0xff
#define MSI_FIRST 0xfee00000ull
#define CONFIG ((u64)VFIO_PCI_CONFIG_REGION_INDEX << 40)

struct map {
	bool used, bar, no_vaddr;
	u64 iova, size, vaddr;
	u32 prot; /* VFIO_DMA_MAP_FLAG_READ, WRITE */
};

struct cont {
	bool used; /* has a descriptor, or groups */
	int fd;	   /* -1: closed */
	int type;  /* 0: no SET_IOMMU yet */
	struct map maps[MAPS];
};

struct grp {
	int fd;	  /* -1: not open */
	int cont; /* -1: in none */
	int devices;
	struct iotlb *probe;
};

static struct cont conts[CONTAINERS];
static struct grp grps[RIG_GROUPS];
static struct { int fd, grp; } devices[DEVICES];
static int strays[STRAYS];
static int efds[2];
static bool dirty; /* the machine is not what it was: sysfs was written */

/* ---- the model: mappings -------------------------------------------------------------------- */

static u64 map_last(const struct map *m) { return m->iova + m->size - 1; }

static struct map *map_at(struct cont *c, u64 iova)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (c->maps[i].used && iova >= c->maps[i].iova && iova <= map_last(&c->maps[i]))
			return &c->maps[i];
	return NULL;
}

static bool overlaps(struct cont *c, u64 iova, u64 last)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (c->maps[i].used && c->maps[i].iova <= last && map_last(&c->maps[i]) >= iova)
			return true;
	return false;
}

static struct map *free_map(struct cont *c)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (!c->maps[i].used)
			return &c->maps[i];
	return NULL;
}

static void set_writable(const struct map *m, bool on)
{
	if (!m->bar && (m->prot & VFIO_DMA_MAP_FLAG_WRITE))
		rig_writable((unsigned)((m->vaddr - (uintptr_t)rig_arena) / PAGE_SIZE), (unsigned)(m->size / PAGE_SIZE), on);
}

static void drop_map(struct map *m)
{
	set_writable(m, false);
	m->used = false;
}

static void drop_maps(struct cont *c)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (c->maps[i].used)
			drop_map(&c->maps[i]);
}

static bool any_without_vaddr(const struct cont *c)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (c->maps[i].used && c->maps[i].no_vaddr)
			return true;
	return false;
}

static unsigned groups_in(int cont)
{
	unsigned n = 0;

	for (unsigned g = 0; g < RIG_GROUPS; g++)
		n += grps[g].cont == cont;
	return n;
}

static void leave(struct grp *g)
{
	struct cont *c = &conts[g->cont];
	int was = g->cont;

	g->cont = -1;
	if (groups_in(was))
		return;
	drop_maps(c);
	c->type = 0;
	c->used = c->fd >= 0;
}

/* ---- does the IOMMU agree? ------------------------------------------------------------------- */

static void check_point(struct grp *g, struct cont *c, u64 iova, bool write)
{
	const struct map *m = c->type ? map_at(c, iova) : NULL;
	bool want = m && (m->prot & (write ? VFIO_DMA_MAP_FLAG_WRITE : VFIO_DMA_MAP_FLAG_READ));
	u64 pa = 0;
	int ret = iotlb_translate(g->probe, iova, write, false, &pa);

	if ((ret == 0) != want)
		rig_bug("group %d: iova 0x%llx for %s: IOMMU says %d, the model %s", (int)(g - grps),
			(unsigned long long)iova, write ? "writing" : "reading", ret, want ? "mapped" : "not mapped");
	if (!ret && !m->bar && (pa & PHYS_OFFSET_MASK) != m->vaddr + (iova - m->iova))
		rig_bug("iova 0x%llx leads to 0x%llx", (unsigned long long)iova, (unsigned long long)pa);
	if (!ret && (pa >> PHYS_SLOT_SHIFT == PHYS_SLOT_MMIO) != m->bar)
		rig_bug("iova 0x%llx: 0x%llx is in the wrong slot", (unsigned long long)iova, (unsigned long long)pa);
	if (!ret && pa >> PHYS_SLOT_SHIFT == PHYS_SLOT_KERNEL)
		rig_bug("iova 0x%llx leads into kernel memory", (unsigned long long)iova);
}

static void check_around(struct grp *g, struct cont *c, u64 iova, u64 size)
{
	const u64 points[] = { iova - 1, iova, iova + size / 2, iova + size - 1, iova + size };

	for (unsigned i = 0; i < ARRAY_SIZE(points); i++) {
		check_point(g, c, points[i], false);
		check_point(g, c, points[i], true);
	}
}

static u64 touched_iova, touched_size; /* by the step under way */

static void check_translations(bool all)
{
	static unsigned turn;

	for (unsigned i = 0; i < RIG_GROUPS; i++) {
		struct grp *g = &grps[i];

		if (g->cont < 0)
			continue;
		check_around(g, &conts[g->cont], touched_iova, touched_size);
		for (unsigned m = 0; m < MAPS; m++) {
			const struct map *map = &conts[g->cont].maps[m];

			if (map->used && (all || (m + turn) % 16 == 0))
				check_around(g, &conts[g->cont], map->iova, map->size);
		}
	}
	turn++;
}

/* ---- picking -------------------------------------------------------------------------------- */

static u64 pick_iova(struct rig_input *in)
{
	u8 how = in_u8(in);

	switch (how >> 6) {
	case 0: return (how & 63) * PAGE_SIZE;
	case 1: return 0x40000000 + (how & 63) * PAGE_SIZE;
	case 2: return MSI_FIRST - 32 * PAGE_SIZE + (how & 63) * PAGE_SIZE;
	}
	if (how & 32)
		return in_u64(in);
	return (1ull << (33 + how % 31)) - 4 * PAGE_SIZE + (in_u8(in) & 7) * PAGE_SIZE;
}

static u64 pick_size(struct rig_input *in)
{
	u8 how = in_u8(in);

	if (how < 0xe0)
		return (1 + how % 16) * PAGE_SIZE;
	return how & 16 ? in_u64(in) : in_u16(in);
}

/* Never an address of the fuzzer's own memory: only arena, BARs, and nonsense. */
static u64 pick_vaddr(struct rig_input *in)
{
	static const u64 bad[] = { 0, 8, PAGE_SIZE, 0xffffffffffffffff, 0xfffffffffffff000, 1ull << 47, 0x8000000000000000 };
	u8 how = in_u8(in);

	if (how < 0xc0)
		return (uintptr_t)rig_arena + (RIG_GUARD_PAGES + how % (RIG_PAGES - 2 * RIG_GUARD_PAGES)) * PAGE_SIZE;
	if (how < 0xe0)
		return (uintptr_t)rig_bars + how % 32 * PAGE_SIZE;
	return how < 0xf0 ? (uintptr_t)rig_arena + RIG_PAGES * PAGE_SIZE : bad[how % ARRAY_SIZE(bad)];
}

/* A buffer for a call of @len bytes: most often with unmapped memory right behind. */
static u8 *pick_buf(struct rig_input *in, size_t len)
{
	u8 how = in_u8(in);

	if (how < 0xe0)
		return rig_ubuf + RIG_UBUF_BYTES - min(len, (size_t)RIG_UBUF_BYTES);
	if (how < 0xf0)
		return rig_bars + how % 16 * PAGE_SIZE + in_u8(in);
	return how & 1 ? rig_ubuf + RIG_UBUF_BYTES - len / 2 : NULL;
}

static int *pick_slot(struct rig_input *in)
{
	u8 how = in_u8(in);

	switch (how & 3) {
	case 0: return &conts[(how >> 2) % CONTAINERS].fd;
	case 1: return &grps[(how >> 2) % RIG_GROUPS].fd;
	case 2: return &devices[(how >> 2) % DEVICES].fd;
	}
	return &strays[(how >> 2) % STRAYS];
}

static struct cont *pick_cont(struct rig_input *in)
{
	struct cont *c = &conts[in_u8(in) % CONTAINERS];

	for (unsigned i = 0; i < CONTAINERS && c->fd < 0; i++)
		c = &conts[i];
	return c;
}

static int pick_device(struct rig_input *in)
{
	unsigned n = in_u8(in) % DEVICES;

	for (unsigned i = 0; i < DEVICES && devices[n].fd < 0; i++)
		n = i;
	return devices[n].fd;
}

/* ---- steps: objects ------------------------------------------------------------------------- */

static void open_container(void)
{
	for (unsigned i = 0; i < CONTAINERS; i++) {
		if (conts[i].used)
			continue;
		memset(&conts[i], 0, sizeof(conts[i]));
		conts[i].fd = rig_open("/dev/vfio/vfio", O_RDWR);
		rig_must(conts[i].fd >= 0);
		conts[i].used = true;
		return;
	}
}

static void open_group(struct rig_input *in)
{
	unsigned i = in_u8(in) % RIG_GROUPS;
	struct grp *g = &grps[i];
	char path[32];
	bool may;
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%u", i);
	may = g->fd < 0 && !g->devices && kernfs_exists(path + 1);
	fd = rig_open(path, O_RDWR);
	if ((fd >= 0) != may)
		rig_bug("open of group %u gives %d", i, fd);
	if (may)
		g->fd = fd;
}

static void set_container(struct rig_input *in)
{
	struct grp *g = &grps[in_u8(in) % RIG_GROUPS];
	struct cont *c = pick_cont(in);
	bool may = g->cont < 0 && !(c->type && any_without_vaddr(c));
	long ret;

	if (g->fd < 0 || c->fd < 0)
		return;
	ret = rig_ioctl(g->fd, VFIO_GROUP_SET_CONTAINER, (unsigned long)&c->fd);
	if ((ret == 0) != may)
		rig_bug("SET_CONTAINER gives %ld", ret);
	if (may)
		g->cont = (int)(c - conts);
}

static void unset_container(struct rig_input *in)
{
	struct grp *g = &grps[in_u8(in) % RIG_GROUPS];
	bool may = g->cont >= 0 && !g->devices;
	long ret;

	if (g->fd < 0)
		return;
	ret = rig_ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER, 0);
	if ((ret == 0) != may)
		rig_bug("UNSET_CONTAINER gives %ld", ret);
	if (may)
		leave(g);
}

static void set_iommu(struct rig_input *in)
{
	struct cont *c = pick_cont(in);
	u8 type = in_u8(in);
	bool may = !c->type && groups_in((int)(c - conts)) && (type & 0x80 ? type == 0x81 || type == 0x83 : true);
	long ret;

	type = type & 0x80 ? type & 0x7f : type & 1 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU;
	if (c->fd < 0)
		return;
	ret = rig_ioctl(c->fd, VFIO_SET_IOMMU, type);
	if ((ret == 0) != may)
		rig_bug("SET_IOMMU %u gives %ld", type, ret);
	if (may)
		c->type = type;
}

static void get_device(struct rig_input *in)
{
	unsigned i = in_u8(in) % RIG_GROUPS, how = in_u8(in);
	struct grp *g = &grps[i];
	unsigned name = how & 0xf0 ? i : how % RIG_GROUPS, slot;
	bool may = name == i && g->cont >= 0 && conts[g->cont].type;
	long fd;

	for (slot = 0; slot < DEVICES && devices[slot].fd >= 0; slot++)
		;
	if (g->fd < 0 || slot == DEVICES)
		return;
	strcpy((char *)rig_ubuf, rig_names[name]);
	fd = rig_ioctl(g->fd, VFIO_GROUP_GET_DEVICE_FD, (unsigned long)rig_ubuf);
	if ((fd >= 0) != may)
		rig_bug("GET_DEVICE_FD of group %u gives %ld", i, fd);
	if (!may)
		return;
	devices[slot].fd = (int)fd;
	devices[slot].grp = (int)i;
	g->devices++;
}

static void close_slot(int *slot)
{
	int fd = *slot;

	if (fd < 0)
		return;
	*slot = -1;
	for (unsigned i = 0; i < DEVICES; i++)
		if (slot == &devices[i].fd) /* a mapping would keep it open */
			rig_munmap(0, RIG_BARS_PAGES * PAGE_SIZE);
	rig_close(fd);
	for (unsigned i = 0; i < CONTAINERS; i++)
		if (slot == &conts[i].fd)
			conts[i].used = groups_in((int)i);
	for (unsigned i = 0; i < DEVICES; i++)
		if (slot == &devices[i].fd)
			grps[devices[i].grp].devices--;
	for (unsigned i = 0; i < RIG_GROUPS; i++)
		if (grps[i].cont >= 0 && grps[i].fd < 0 && !grps[i].devices)
			leave(&grps[i]);
}

/* ---- steps: mappings ------------------------------------------------------------------------ */

static bool in_arena(u64 vaddr, u64 size)
{
	const u64 first = (uintptr_t)rig_arena + RIG_GUARD_PAGES * PAGE_SIZE;
	const u64 bytes = (RIG_PAGES - 2 * RIG_GUARD_PAGES) * PAGE_SIZE;

	return vaddr >= first && vaddr - first < bytes && size <= bytes - (vaddr - first);
}

static bool in_bars(u64 vaddr, u64 size)
{
	return vaddr >= (uintptr_t)rig_bars && size <= RIG_BARS_PAGES * PAGE_SIZE &&
	       vaddr + size <= (uintptr_t)rig_bars + RIG_BARS_PAGES * PAGE_SIZE;
}

static void map_dma(struct rig_input *in)
{
	struct cont *c = pick_cont(in);
	u8 how = in_u8(in);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = how & 3, .iova = pick_iova(in),
						.vaddr = pick_vaddr(in), .size = pick_size(in) };
	struct map *m = free_map(c);
	bool sound, may;
	long ret;

	if (!(how & 3))
		map.flags = how & 4 ? in_u32(in) : 3;
	if ((how & 0xf8) == 0xf8)
		map.argsz = in_u8(in);
	if (c->fd < 0 || !m)
		return;
	if (in_arena(map.vaddr, PAGE_SIZE) && !in_arena(map.vaddr, map.size))
		map.vaddr = (uintptr_t)rig_arena + RIG_GUARD_PAGES * PAGE_SIZE; /* never over the guards' pages */
	if (in_arena(map.vaddr, PAGE_SIZE) && !in_arena(map.vaddr, map.size) && !((map.size | map.iova) % PAGE_SIZE))
		return;
	sound = c->type && map.argsz >= sizeof(map) && map.flags && map.flags <= 3 && map.size && map.iova % PAGE_SIZE == 0 &&
		map.size % PAGE_SIZE == 0 && map.vaddr % PAGE_SIZE == 0 && in_arena(map.vaddr, map.size) &&
		map.iova < MSI_FIRST && map.iova + map.size <= MSI_FIRST;
	may = sound && !overlaps(c, map.iova, map.iova + map.size - 1);
	ret = rig_ioctl(c->fd, VFIO_IOMMU_MAP_DMA, (unsigned long)&map);
	if (sound && ret != (may ? 0 : -EEXIST))
		rig_bug("MAP_DMA gives %ld", ret);
	touched_iova = map.iova;
	touched_size = map.size;
	if (ret)
		return;
	if (map.flags & VFIO_DMA_MAP_FLAG_VADDR) { /* an old mapping at a new place: pins stay where they are */
		m = map_at(c, map.iova);
		rig_must(m && m->no_vaddr && m->iova == map.iova && m->size == map.size);
		m->no_vaddr = false;
		return;
	}
	rig_must(c->type && map.argsz >= sizeof(map) && map.flags && map.flags <= 3 && map.size);
	rig_must(!((map.iova | map.size | map.vaddr) % PAGE_SIZE));
	rig_must(!overlaps(c, map.iova, map.iova + map.size - 1));
	rig_must(map.iova + map.size - 1 < MSI_FIRST || map.iova >= MSI_FIRST + 0x100000);
	rig_must(in_arena(map.vaddr, map.size) || in_bars(map.vaddr, map.size));
	*m = (struct map){ .used = true, .bar = !in_arena(map.vaddr, map.size), .iova = map.iova, .size = map.size,
			   .vaddr = map.vaddr, .prot = map.flags };
	set_writable(m, true);
}

/* The lowest mapping that reaches to @iova or beyond. */
static struct map *first_from(struct cont *c, u64 iova)
{
	struct map *first = NULL;

	for (unsigned i = 0; i < MAPS; i++)
		if (c->maps[i].used && map_last(&c->maps[i]) >= iova && (!first || c->maps[i].iova < first->iova))
			first = &c->maps[i];
	return first;
}

/* What an unmap takes away, in bytes; -1: it is refused.  @apply: do it. */
static s64 model_unmap(struct cont *c, u64 iova, u64 last, bool all, u32 flags)
{
	const bool vaddr = flags & VFIO_DMA_UNMAP_FLAG_VADDR;
	struct map *m = first_from(c, iova);
	u64 bytes = 0;

	if (c->type == VFIO_TYPE1v2_IOMMU && !all) {
		if (m && m->iova < iova)
			return -1;
		m = map_at(c, last);
		if (m && map_last(m) != last)
			return -1;
	}
	if (vaddr)
		for (m = first_from(c, iova); m && m->iova <= last; m = first_from(c, map_last(m) + 1)) {
			if (c->type == VFIO_TYPE1_IOMMU && m->iova < iova)
				break;
			if (m->no_vaddr)
				return -1;
			if (map_last(m) == ~0ull)
				break;
		}
	for (m = first_from(c, iova); m && m->iova <= last;) {
		u64 end = map_last(m);

		if (c->type == VFIO_TYPE1_IOMMU && m->iova < iova)
			break;
		bytes += m->size;
		if (vaddr)
			m->no_vaddr = true;
		else
			drop_map(m);
		m = end == ~0ull ? NULL : first_from(c, end + 1);
	}
	return (s64)bytes;
}

static void unmap_dma(struct rig_input *in)
{
	struct { struct vfio_iommu_type1_dma_unmap unmap; struct vfio_bitmap bitmap; } arg = { 0 };
	struct cont *c = pick_cont(in);
	u8 how = in_u8(in);
	const struct map *m = &c->maps[how % MAPS];
	bool all, sound;
	s64 want = -1;
	u64 iova, last;
	long ret;

	arg.unmap.argsz = sizeof(arg.unmap);
	if (how & 0x40 || !m->used) {
		arg.unmap.iova = pick_iova(in);
		arg.unmap.size = pick_size(in);
	} else {
		arg.unmap.iova = m->iova;
		arg.unmap.size = m->size;
	}
	if (how & 0x80)
		arg.unmap.flags = in_u8(in) & 7;
	if (arg.unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL && how & 0x20)
		arg.unmap.iova = arg.unmap.size = 0;
	if (arg.unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) {
		arg.unmap.argsz = sizeof(arg);
		arg.bitmap = (struct vfio_bitmap){ .pgsize = PAGE_SIZE, .size = in_u8(in) * 8u,
			.data = how & 0x20 ? NULL : (void *)rig_ubuf };
	}
	if (c->fd < 0)
		return;
	iova = arg.unmap.iova;
	all = arg.unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL;
	last = all ? ~0ull : iova + arg.unmap.size - 1;
	touched_iova = iova;
	touched_size = arg.unmap.size;
	sound = c->type && iova % PAGE_SIZE == 0 && arg.unmap.size % PAGE_SIZE == 0 &&
		(all ? !iova && !arg.unmap.size : arg.unmap.size && last >= iova) &&
		!(arg.unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP);
	ret = rig_ioctl(c->fd, VFIO_IOMMU_UNMAP_DMA, (unsigned long)&arg);
	if (sound || !ret)
		want = model_unmap(c, iova, last, all, arg.unmap.flags);
	if ((ret == 0) != (want >= 0) || (!ret && (s64)arg.unmap.size != want))
		rig_bug("UNMAP_DMA gives %ld and 0x%llx bytes, the model 0x%llx", ret,
			(unsigned long long)arg.unmap.size, (unsigned long long)want);
}

/* edu moves bytes out of memory and back; if the model says that it may, they must arrive. */
static void edu_copy(struct rig_input *in)
{
	const u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	u64 src = pick_iova(in) + in_u16(in) % PAGE_SIZE, dst = pick_iova(in) + in_u16(in) % PAGE_SIZE;
	u64 count = 1 + in_u16(in) % 4096, cmd = 1, buf = EDU_BUF;
	unsigned slot = in_u8(in) % DEVICES;
	int fd = devices[slot].fd;
	const struct map *to;
	u8 want[4096];
	struct cont *c;
	bool may;

	if (fd < 0 || devices[slot].grp == 1)
		return;
	c = &conts[grps[devices[slot].grp].cont];
	to = map_at(c, dst);
	may = to && !to->bar && (to->prot & VFIO_DMA_MAP_FLAG_WRITE) && map_last(to) - dst >= count - 1;
	for (u64 i = 0; i < count && may; i++) {
		const struct map *s = map_at(c, src + i);

		may = s && !s->bar && (s->prot & VFIO_DMA_MAP_FLAG_READ);
		if (may)
			want[i] = *(u8 *)(uintptr_t)(s->vaddr + (src + i - s->iova));
	}
	rig_pwrite(fd, &command, 2, CONFIG + PCI_COMMAND);
	rig_pwrite(fd, &count, 8, EDU_DMA_COUNT);
	rig_pwrite(fd, &src, 8, EDU_DMA_SRC);
	rig_pwrite(fd, &buf, 8, EDU_DMA_DST);
	rig_pwrite(fd, &cmd, 8, EDU_DMA_CMD);
	cmd = 3;
	rig_pwrite(fd, &buf, 8, EDU_DMA_SRC);
	rig_pwrite(fd, &dst, 8, EDU_DMA_DST);
	rig_pwrite(fd, &cmd, 8, EDU_DMA_CMD);
	if (may && !dirty)
		rig_must(!memcmp((u8 *)(uintptr_t)(to->vaddr + (dst - to->iova)), want, count));
}

/* ---- steps: everything else ------------------------------------------------------------------ */

static const struct { unsigned cmd; u8 bytes, pointer; } ioctls[] = {
	/* @pointer: offset of an 8-byte pointer in it; 0: none */
	{ VFIO_GET_API_VERSION, 0, 0 }, { VFIO_CHECK_EXTENSION, 0, 0 },
	{ VFIO_GROUP_GET_STATUS, sizeof(struct vfio_group_status), 0 },
	{ VFIO_DEVICE_GET_INFO, sizeof(struct vfio_device_info), 0 },
	{ VFIO_DEVICE_GET_REGION_INFO, sizeof(struct vfio_region_info), 0 },
	{ VFIO_DEVICE_GET_IRQ_INFO, sizeof(struct vfio_irq_info), 0 },
	{ VFIO_DEVICE_SET_IRQS, 64, 0 },
	{ VFIO_DEVICE_RESET, 0, 0 },
	{ VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, 64, 0 },
	{ VFIO_DEVICE_PCI_HOT_RESET, 32, 0 },
	{ VFIO_DEVICE_QUERY_GFX_PLANE, 64, 0 },
	{ VFIO_DEVICE_IOEVENTFD, sizeof(struct vfio_device_ioeventfd), 0 },
	{ VFIO_DEVICE_FEATURE, 64, 16 },
	{ VFIO_IOMMU_GET_INFO, 200, 0 },
	{ VFIO_IOMMU_DIRTY_PAGES, 48, 40 },
	{ VFIO_IOMMU_ENABLE, 0, 0 },
};

static bool device_open(void)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (devices[i].fd >= 0)
			return true;
	return false;
}

/* The structure's place: what is before it and behind argsz must not change. */
static void any_ioctl(struct rig_input *in)
{
	int fd = *pick_slot(in);
	u8 which = in_u8(in), how = in_u8(in), before[512];
	unsigned n = which % (ARRAY_SIZE(ioctls) + 1), cmd, bytes = 64;
	u8 *arg = rig_ubuf + 128;
	u32 argsz = 0;

	cmd = n < ARRAY_SIZE(ioctls) ? ioctls[n].cmd : _IO(VFIO_TYPE, VFIO_BASE + (how & 31));
	if (n < ARRAY_SIZE(ioctls))
		bytes = ioctls[n].bytes;
	if (fd < 0 || cmd == VFIO_IOMMU_MAP_DMA || cmd == VFIO_IOMMU_UNMAP_DMA || cmd == VFIO_GROUP_SET_CONTAINER ||
	    cmd == VFIO_GROUP_UNSET_CONTAINER || cmd == VFIO_SET_IOMMU || cmd == VFIO_GROUP_GET_DEVICE_FD)
		return;
	memset(rig_ubuf, 0x5a, 1024);
	in_bytes(in, arg, bytes);
	if (how & 0x80)
		*(u32 *)arg = bytes;
	if (n < ARRAY_SIZE(ioctls) && ioctls[n].pointer)
		*(u64 *)(arg + ioctls[n].pointer) = how & 0x20 ? (uintptr_t)rig_bars + PAGE_SIZE : (uintptr_t)rig_ubuf + 2048;
	if (cmd == VFIO_DEVICE_SET_IRQS && how & 0x10)
		for (unsigned i = sizeof(struct vfio_irq_set); i < 64; i += 4)
			*(int *)(arg + i) = arg[i] & 2 ? -1 : efds[arg[i] & 1];
	if (cmd == VFIO_DEVICE_PCI_HOT_RESET && how & 0x10)
		for (unsigned i = sizeof(struct vfio_pci_hot_reset); i < 32; i += 4)
			*(int *)(arg + i) = grps[arg[i] % RIG_GROUPS].fd;
	memcpy(&argsz, arg, 4);
	memcpy(before, rig_ubuf, sizeof(before));
	rig_ioctl(fd, cmd, bytes ? (unsigned long)(how & 0x40 ? pick_buf(in, bytes) : arg) : in_u64(in));
	if (how & 0x40)
		return;
	rig_must(!memcmp(before, rig_ubuf, 128));
	argsz = max(argsz, bytes);
	if (argsz < 256 && n < ARRAY_SIZE(ioctls))
		rig_must(!memcmp(before + 128 + argsz, arg + argsz, sizeof(before) - 128 - argsz));
}

static void set_irqs(struct rig_input *in)
{
	struct { struct vfio_irq_set set; int fds[8]; } irq;
	int fd = pick_device(in);
	u8 how = in_u8(in), what = in_u8(in);

	irq.set = (struct vfio_irq_set){ .argsz = sizeof(irq), .index = how & 7, .start = how >> 3 & 1, .count = how >> 4 & 7 };
	irq.set.flags = 1u << (what & 3) | VFIO_IRQ_SET_ACTION_MASK << (what >> 2 & 3);
	for (unsigned i = 0; i < 8; i++)
		irq.fds[i] = what & 1u << (i & 7) ? efds[i & 1] : -1;
	if (fd >= 0)
		rig_ioctl(fd, VFIO_DEVICE_SET_IRQS, (unsigned long)&irq);
}

static void transfer(struct rig_input *in)
{
	int fd = *pick_slot(in);
	u8 how = in_u8(in);
	size_t len = how & 8 ? in_u16(in) % 5000 : 1u << (how & 3);
	u64 pos = (u64)(how >> 5) << 40 | (how & 4 ? in_u16(in) : in_u8(in));
	u8 *buf = pick_buf(in, len);

	if ((how & 0xec) == 0xe4)
		pos = in_u64(in);
	if (fd < 0)
		return;
	in_bytes(in, rig_ubuf + RIG_UBUF_BYTES - 16, 16);
	if (how & 16)
		rig_pwrite(fd, buf, len, pos);
	else
		rig_pread(fd, buf, len, pos);
}

static void bar_mapping(struct rig_input *in)
{
	int fd = *pick_slot(in);
	u8 how = in_u8(in);
	unsigned page = in_u8(in) % RIG_BARS_PAGES;
	u64 len = (1 + (how >> 4)) * PAGE_SIZE;

	len = min(len, (RIG_BARS_PAGES - page) * PAGE_SIZE);
	if (how & 1)
		rig_munmap(page, len);
	else if (fd >= 0)
		rig_mmap(fd, page, how & 2 ? in_u32(in) : len, how & 4 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
			 (u64)(in_u8(in) % 10) << 40 | (how & 8 ? in_u16(in) : 0));
}

static void bar_access(struct rig_input *in)
{
	unsigned page = in_u8(in) % RIG_BARS_PAGES;
	u8 how = in_u8(in);

	rig_mmio(page, in_u16(in) % PAGE_SIZE, how & 0x40 ? 1 + in_u8(in) % 64 : 1u << (how & 3), how & 0x80, in_u64(in));
}

/* ---- steps: sysfs ----------------------------------------------------------------------------- */

#define BUS "/sys/bus/pci/"
#define ROOT "/sys/devices/pci0000:00/"
static const char *const attrs[] = {
	BUS "drivers/vfio-pci/bind", BUS "drivers/vfio-pci/unbind", BUS "drivers/vfio-pci/new_id",
	BUS "drivers/vfio-pci/remove_id", BUS "drivers/edu/bind", BUS "drivers/edu/unbind", BUS "drivers/nvme/bind",
	BUS "drivers/nvme/unbind", BUS "drivers_probe", BUS "drivers_autoprobe", BUS "rescan", BUS "uevent",
	BUS "resource_alignment",
	ROOT "0000:00:01.0/0000:01:00.0/driver_override", ROOT "0000:00:01.0/0000:01:00.0/enable",
	ROOT "0000:00:01.0/0000:01:00.0/reset", ROOT "0000:00:01.0/0000:01:00.0/reset_method",
	ROOT "0000:00:01.0/0000:01:00.0/remove", ROOT "0000:00:01.0/0000:01:00.0/config",
	ROOT "0000:00:01.0/0000:01:00.0/resource0", ROOT "0000:00:01.0/0000:01:00.0/power/control",
	ROOT "0000:00:02.0/0000:02:00.0/driver_override", ROOT "0000:00:02.0/0000:02:00.0/config",
	ROOT "0000:00:02.0/0000:02:00.0/reset", ROOT "0000:00:02.0/0000:02:00.0/resource0",
	ROOT "0000:00:02.0/remove", ROOT "0000:00:02.0/config", ROOT "0000:00:01.0/rescan", ROOT "0000:00:10.0/config",
	ROOT "0000:00:10.0/driver_override", ROOT "0000:00:10.0/numa_node", ROOT "0000:00:10.0/msi_bus",
	ROOT "0000:00:10.0/enable", ROOT "0000:00:10.0/remove", ROOT "0000:00:10.0/uevent",
	"/sys/kernel/iommu_groups/0/type", "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
};

static const char *const texts[] = {
	"0000:01:00.0", "0000:02:00.0", "0000:00:10.0", "0000:00:01.0", "1234 11e8", "1b36 0010", "vfio-pci", "edu", "nvme",
	"", "\n", "1", "0", "add", "flr", "bus", "default", "1234 11e8 ffffffff ffffffff 0 0 0", "DMA", "identity", "none",
};

/* Groups whose node went away have left their containers; their descriptors are strays. */
static void see_who_is_left(void)
{
	char node[32];

	for (unsigned i = 0; i < RIG_GROUPS; i++) {
		snprintf(node, sizeof(node), "dev/vfio/%u", i);
		if (kernfs_exists(node) && rig_pdev(i))
			continue;
		rig_must(!grps[i].devices);
		if (grps[i].cont >= 0)
			leave(&grps[i]);
		for (unsigned s = 0; s < STRAYS && grps[i].fd >= 0; s++)
			if (strays[s] < 0) {
				strays[s] = grps[i].fd;
				grps[i].fd = -1;
			}
		if (grps[i].fd >= 0)
			close_slot(&grps[i].fd);
	}
}

static void sysfs(struct rig_input *in)
{
	const char *path = attrs[in_u8(in) % ARRAY_SIZE(attrs)];
	u8 how = in_u8(in);
	size_t len;
	int fd;

	/* These wait until a device is closed, as they do in Linux. */
	if (device_open() && (strstr(path, "bind") || strstr(path, "remove") || strstr(path, "rescan")))
		return;
	fd = rig_open(path, how & 0x80 ? O_RDWR : how & 0x40 ? O_RDONLY : O_WRONLY);
	if (fd < 0)
		return;
	if (how & 0x20) {
		len = in_u8(in);
		in_bytes(in, rig_ubuf, len);
	} else {
		const char *text = texts[how % ARRAY_SIZE(texts)];

		len = strlen(text);
		memcpy(rig_ubuf, text, len);
	}
	dirty = true;
	rig_pwrite(fd, rig_ubuf, len, how & 0x20 ? in_u8(in) : 0);
	rig_pread(fd, rig_ubuf, RIG_UBUF_BYTES, 0);
	rig_close(fd);
	see_who_is_left();
}

/* ---- one input -------------------------------------------------------------------------------- */

/* What most programs do first. */
static void quick_start(struct rig_input *in)
{
	u8 g = in_u8(in) % RIG_GROUPS, v1 = in_u8(in) & 1;
	const u8 bytes[] = { g, g, 0, 0, v1, g, 0xf0 };
	struct rig_input own = { bytes, bytes + sizeof(bytes) };

	open_container();
	open_group(&own);
	set_container(&own);
	set_iommu(&own);
	own.at = bytes + 5;
	get_device(&own);
}

static void step(struct rig_input *in)
{
	u8 buf[256], what = in_u8(in);

	touched_iova = touched_size = 0;
	switch (what % 24) {
	case 0: open_container(); break;
	case 1: open_group(in); break;
	case 2: set_container(in); break;
	case 3: unset_container(in); break;
	case 4: set_iommu(in); break;
	case 5: get_device(in); break;
	case 6: close_slot(pick_slot(in)); break;
	case 7:
	case 8:
	case 9: map_dma(in); break;
	case 10:
	case 11: unmap_dma(in); break;
	case 12: edu_copy(in); break;
	case 13:
	case 14: any_ioctl(in); break;
	case 15: set_irqs(in); break;
	case 16:
	case 17: transfer(in); break;
	case 18: bar_mapping(in); break;
	case 19: bar_access(in); break;
	case 20:
		if (in_u8(in) < 0x30) /* each costs a new machine */
			sysfs(in);
		break;
	case 21:
	case 22: quick_start(in); break;
	case 23:
		what = in_u8(in);
		in_bytes(in, buf, what);
		rig_fill(in_u16(in) * 4u, buf, what);
		break;
	}
}

static void probes(bool make)
{
	for (unsigned i = 0; i < RIG_GROUPS; i++) {
		struct hw_device *hw = make ? rig_hw(i) : NULL;

		if (!make)
			iotlb_destroy(grps[i].probe);
		grps[i].probe = make ? iotlb_create(hw->iommu, hw->devid) : NULL;
	}
}

/* In an order that the input decides. */
static void close_all(struct rig_input *in)
{
	int *slots[CONTAINERS + RIG_GROUPS + DEVICES + STRAYS];
	unsigned n = 0;

	for (unsigned i = 0; i < CONTAINERS; i++)
		slots[n++] = &conts[i].fd;
	for (unsigned i = 0; i < RIG_GROUPS; i++)
		slots[n++] = &grps[i].fd;
	for (unsigned i = 0; i < DEVICES; i++)
		slots[n++] = &devices[i].fd;
	for (unsigned i = 0; i < STRAYS; i++)
		slots[n++] = &strays[i];
	rig_munmap(0, RIG_BARS_PAGES * PAGE_SIZE);
	while (n) {
		unsigned i = in_u8(in) % n;

		close_slot(slots[i]);
		slots[i] = slots[--n];
		rig_check_arena();
	}
	for (unsigned i = 0; i < CONTAINERS; i++)
		rig_must(!conts[i].used);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	rig_up();
	for (unsigned i = 0; i < 2; i++) {
		efds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		rig_must(efds[i] >= 0);
	}
	for (unsigned i = 0; i < CONTAINERS; i++)
		conts[i].fd = -1;
	for (unsigned i = 0; i < RIG_GROUPS; i++)
		grps[i] = (struct grp){ .fd = -1, .cont = -1 };
	for (unsigned i = 0; i < DEVICES; i++)
		devices[i].fd = -1;
	for (unsigned i = 0; i < STRAYS; i++)
		strays[i] = -1;
	probes(true);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_input in = { data, data + size };
	u64 val;

	rig_begin();
	for (unsigned steps = 0; in_more(&in) && steps < 200; steps++) {
		step(&in);
		check_translations(false);
		rig_check_arena();
	}
	check_translations(true);
	close_all(&in);
	for (unsigned i = 0; i < 2; i++)
		(void)!read(efds[i], &val, sizeof(val));
	if (!dirty) {
		hw_reset(rig_hw(0), false);
		hw_reset(rig_hw(2), false);
		return 0;
	}
	probes(false);
	rig_renew();
	probes(true);
	dirty = false;
	return 0;
}
