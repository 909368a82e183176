/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cdev.c - questions to a device of its own: /dev/vfio/devices/vfioN, bound to an iommufd, and its page tables.
 *
 * usage: cdev EDU [MSIX]    as legacy.c, which tells the rest
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/conformance/calls.h"

static void lifetimes(void)
{
	begin("cdev lifetimes");
	char path[64];
	struct vfio_device_info di = { .argsz = sizeof(di) };
	strcpy(path, group_path(edu));
	int g, cd = TFD("open the cdev", open_cdev(edu));
	if (cd < 0)
		return;
	TFD("open the cdev twice", g = open_cdev(edu));
	close(g);
	g = TFD("open the group while the cdev is open, not bound", open(path, O_RDWR));
	int i = open("/dev/iommu", O_RDWR);
	struct vfio_device_bind_iommufd b = { .argsz = sizeof(b), .iommufd = i };
	T("BIND_IOMMUFD while the group is open", ioctl(cd, VFIO_DEVICE_BIND_IOMMUFD, &b));
	close(g);
	T("BIND_IOMMUFD after closing the group", ioctl(cd, VFIO_DEVICE_BIND_IOMMUFD, &b));
	g = TFD("open the group while the cdev is bound", open(path, O_RDWR));
	close(g);
	close(i);
	struct vfio_device_attach_iommufd_pt at = { .argsz = sizeof(at), .pt_id = 99 };
	T("GET_INFO after closing the iommufd", ioctl(cd, VFIO_DEVICE_GET_INFO, &di));
	T("ATTACH a missing id after closing the iommufd", ioctl(cd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	close(cd);
}

static void cdev(void)
{
	begin("cdev");
	int d = open_cdev(edu), i = open("/dev/iommu", O_RDWR), i2 = open("/dev/iommu", O_RDWR), null = open("/dev/null", O_RDWR), vc = open("/dev/vfio/vfio", O_RDWR);
	char b[64];
	if (d < 0 || i < 0)
		return;
	struct vfio_device_info di = { .argsz = sizeof(di) };
	T("GET_INFO before BIND", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	T("unknown ioctl before BIND", ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	T("RESET before BIND", ioctl(d, VFIO_DEVICE_RESET));
	T("pread before BIND", pread(d, b, 4, 7ull << 40));
	T("mmap before BIND", try_mmap(d, PG, PROT_READ, MAP_SHARED, 0));
	uint32_t id = 1, dev = 0, dev2 = 0;
	T("ATTACH before BIND", attach(d, 0, &id));
	struct { struct vfio_device_bind_iommufd b; uint64_t tail; } bb = { .b = { .argsz = 8, .iommufd = i } };
	T("BIND argsz 8", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bb));
	bb.b.argsz = sizeof(bb);
	bb.tail = 1;
	T("BIND a longer structure, tail not zero", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bb));
	close(d); /* older kernels bind it */
	d = open_cdev(edu);
	bb.b.argsz = sizeof(bb.b);
	bb.b.flags = 2;
	T("BIND flags 2", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bb));
	bb.b.flags = 0;
	T("BIND bad pointer", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, BAD));
	bb.b.iommufd = -1;
	T("BIND iommufd -1", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bb));
	bb.b.iommufd = 999;
	T("BIND closed descriptor", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bb));
	bb.b.iommufd = null;
	T("BIND /dev/null", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bb));
	bb.b.iommufd = vc;
	T("BIND /dev/vfio/vfio", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &bb));
	T("BIND", bind_to(d, i, &dev));
	note("devid %u", dev);
	T("BIND again", bind_to(d, i, &id));
	T("BIND again to another iommufd", bind_to(d, i2, &id));
	int d2 = open_cdev(edu);
	T("BIND of a second descriptor of the device", bind_to(d2, i, &id));
	close(d2);
	T("GET_INFO", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	T("unknown ioctl", ioctl(d, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	T("DETACH, not attached", detach(d, 0));
	T("DETACH flags 2", detach(d, 2));
	T("DESTROY the device object", destroy(i, dev));
	id = 9999;
	T("ATTACH missing id", attach(d, 0, &id));
	id = 0;
	T("ATTACH id 0", attach(d, 0, &id));
	id = dev;
	T("ATTACH the device's own id", attach(d, 0, &id));
	uint32_t as = ioas(i), hw = as;
	T("ATTACH flags 2", attach(d, 2, &hw));
	struct vfio_device_attach_iommufd_pt at = { .argsz = 8, .pt_id = as };
	T("ATTACH argsz 8", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	at.argsz = 12;
	at.flags = VFIO_DEVICE_ATTACH_PASID;
	T("ATTACH PASID, argsz without the pasid", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	imap(i, as, FIXED | RD | WR, (void *)PG, PG, 0x100000);
	T("ATTACH an ioas with a mapping of unmapped memory", attach(d, 0, &hw));
	iunmap(i, as, 0, ~0ull);
	hw = as;
	imap(i, as, FIXED | RD | WR, mem, PG, 0xfee00000);
	T("ATTACH an ioas with a mapping in the MSI window", attach(d, 0, &hw));
	iunmap(i, as, 0, ~0ull);
	hw = as;
	imap(i, as, FIXED | RD | WR, mem + 3, 5, 0x100003);
	T("ATTACH an ioas with an unaligned mapping", attach(d, 0, &hw));
	iunmap(i, as, 0, ~0ull);
	struct iommu_iova_range rg = { 0xfe000000, 0xffffffff };
	struct iommu_ioas_allow_iovas al = { .size = sizeof(al), .ioas_id = as, .num_iovas = 1, .allowed_iovas = (uintptr_t)&rg };
	ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al);
	hw = as;
	T("ATTACH an ioas whose allowed range holds the MSI window", attach(d, 0, &hw));
	al.num_iovas = 0;
	ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al);
	hw = as;
	T("ATTACH", attach(d, 0, &hw));
	note("ioas %u, pt_id out %u", as, hw);
	id = as;
	T("ATTACH the same ioas again", attach(d, 0, &id));
	note("pt_id out %u", id);
	al.num_iovas = 1;
	T("ALLOW_IOVAS over the MSI window, attached", ioctl(i, IOMMU_IOAS_ALLOW_IOVAS, &al));
	T("DESTROY the attached ioas", destroy(i, as));
	T("DESTROY its automatic page table", destroy(i, hw));
	T("MAP unaligned", imap(i, as, FIXED | RD | WR, mem + 3, 5, 0x100003));
	T("MAP unaligned length only", imap(i, as, FIXED | RD | WR, mem, 5, 0x100000));
	T("MAP user_va not mapped", imap(i, as, FIXED | RD | WR, (void *)PG, PG, 0x100000));
	T("MAP in the MSI window", imap(i, as, FIXED | RD | WR, mem, PG, 0xfee00000));
	T("MAP beyond the IOMMU's width", imap(i, as, FIXED | RD | WR, mem, PG, 1ull << 57));
	T("MAP 1 << 60 bytes, chosen by the kernel", imap(i, as, RD | WR, mem, 1ull << 60, 0));
	T("MAP", imap(i, as, FIXED | RD | WR, mem, 4 * PG, 0x100000));
	TI("UNMAP one page of four", i, as, 0x101000, PG);
	uint32_t as2 = ioas(i);
	id = as2;
	T("ATTACH another ioas (replace)", attach(d, 0, &id));
	note("pt_id out %u", id);
	T("DESTROY the replaced ioas", destroy(i, as));
	T("its automatic page table is gone (DESTROY)", destroy(i, hw));
	int n = open_cdev(msix);
	T("BIND a second device", bind_to(n, i, &dev2));
	uint32_t id2 = as2;
	T("ATTACH it to the same ioas", attach(n, 0, &id2));
	note("same page table %d", id2 == id);
	T("DETACH the first", detach(d, 0));
	T("DESTROY the ioas, second still attached", destroy(i, as2));
	T("DETACH the second", detach(n, 0));
	T("DESTROY the ioas", destroy(i, as2));

	begin("hwpt");
	as = ioas(i);
	struct iommu_hwpt_alloc h = { .size = sizeof(h), .dev_id = 9999, .pt_id = as };
	T("ALLOC missing device", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.dev_id = dev; h.pt_id = 9999;
	T("ALLOC missing ioas", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.pt_id = dev;
	T("ALLOC on a device id", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.pt_id = as; h.flags = 1 << 10;
	T("ALLOC unknown flag", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.flags = 0; h.__reserved = 1;
	T("ALLOC __reserved 1", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.__reserved = 0; h.__reserved2 = 1;
	T("ALLOC __reserved2 1", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.__reserved2 = 0; h.data_len = 8;
	T("ALLOC data_len without data", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.data_len = 0; h.data_type = 99;
	T("ALLOC data_type 99", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.data_type = 0; h.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	T("ALLOC NEST_PARENT", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	T("ALLOC DIRTY_TRACKING", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.flags = IOMMU_HWPT_ALLOC_PASID;
	T("ALLOC PASID", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.flags = IOMMU_HWPT_FAULT_ID_VALID; h.fault_id = 9999;
	T("ALLOC FAULT_ID_VALID, missing queue", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	h.flags = 0; h.fault_id = 0;
	T("ALLOC", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	uint32_t hp = h.out_hwpt_id;
	id = hp;
	T("ATTACH it", attach(d, 0, &id));
	note("pt_id unchanged %d", id == hp);
	T("DESTROY it while attached", destroy(i, hp));
	T("DESTROY its ioas", destroy(i, as));
	id = hp;
	T("ATTACH the other device to it", attach(n, 0, &id));
	struct iommu_hwpt_set_dirty_tracking sd = { .size = sizeof(sd), .hwpt_id = hp, .flags = 1 };
	T("SET_DIRTY_TRACKING without support", ioctl(i, IOMMU_HWPT_SET_DIRTY_TRACKING, &sd));
	sd.flags = 2;
	T("SET_DIRTY_TRACKING flags 2", ioctl(i, IOMMU_HWPT_SET_DIRTY_TRACKING, &sd));
	sd.flags = 0; sd.hwpt_id = as;
	T("SET_DIRTY_TRACKING on an ioas id", ioctl(i, IOMMU_HWPT_SET_DIRTY_TRACKING, &sd));
	uint64_t bm[8];
	struct iommu_hwpt_get_dirty_bitmap gd = { .size = sizeof(gd), .hwpt_id = hp, .iova = 0, .length = 4 * PG, .page_size = PG, .data = (uintptr_t)bm };
	T("GET_DIRTY_BITMAP without support", ioctl(i, IOMMU_HWPT_GET_DIRTY_BITMAP, &gd));
	struct iommu_hwpt_invalidate iv = { .size = sizeof(iv), .hwpt_id = hp };
	T("INVALIDATE a kernel-managed page table", ioctl(i, IOMMU_HWPT_INVALIDATE, &iv));
	struct iommu_fault_alloc fa = { .size = sizeof(fa), .flags = 1 };
	T("FAULT_QUEUE_ALLOC flags 1", ioctl(i, IOMMU_FAULT_QUEUE_ALLOC, &fa));
	fa.flags = 0;
	T("FAULT_QUEUE_ALLOC", ioctl(i, IOMMU_FAULT_QUEUE_ALLOC, &fa));
	T("read of an empty fault queue, 0 bytes", read(fa.out_fault_fd, b, 0));
	close(fa.out_fault_fd);
	T("DESTROY the fault queue", destroy(i, fa.out_fault_id));
	struct iommu_viommu_alloc va = { .size = sizeof(va), .type = 1, .dev_id = dev, .hwpt_id = hp };
	T("VIOMMU_ALLOC", ioctl(i, IOMMU_VIOMMU_ALLOC, &va));
	struct iommu_vdevice_alloc vd = { .size = sizeof(vd), .viommu_id = 9999, .dev_id = dev };
	T("VDEVICE_ALLOC missing viommu", ioctl(i, IOMMU_VDEVICE_ALLOC, &vd));
	struct iommu_hw_info hi = { .size = sizeof(hi), .dev_id = dev };
	T("GET_HW_INFO data_len 0", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	note("type %u data_len %u capabilities 0x%llx", hi.out_data_type, hi.data_len, hi.out_capabilities);
	hi = (struct iommu_hw_info){ .size = sizeof(hi), .dev_id = dev, .data_len = 4, .data_uptr = (uintptr_t)bm };
	T("GET_HW_INFO data_len 4", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	note("data_len out %u", hi.data_len);
	hi = (struct iommu_hw_info){ .size = sizeof(hi), .dev_id = dev, .data_len = 64, .data_uptr = 8 };
	T("GET_HW_INFO bad data pointer", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	hi = (struct iommu_hw_info){ .size = sizeof(hi), .dev_id = dev, .flags = 2 };
	T("GET_HW_INFO flags 2", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	hi = (struct iommu_hw_info){ .size = sizeof(hi), .dev_id = dev, .flags = 1, .in_data_type = 99 };
	T("GET_HW_INFO asked for type 99", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	hi = (struct iommu_hw_info){ .size = sizeof(hi), .dev_id = as };
	T("GET_HW_INFO of an ioas id", ioctl(i, IOMMU_GET_HW_INFO, &hi));
	struct { struct vfio_pci_hot_reset h; int fd[1]; } hr = { .h = { .argsz = sizeof(hr), .count = 0 } };
	T("PCI_HOT_RESET count 0 through the cdev", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.count = 1;
	hr.fd[0] = i;
	T("PCI_HOT_RESET count 1 through the cdev", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	close(d);
	T("DESTROY the page table, one device closed, one attached", destroy(i, hp));
	close(n);
	T("DESTROY the page table, both closed", destroy(i, hp));
	T("DESTROY the closed device's id", destroy(i, dev));
	close(i); close(i2); close(null); close(vc);
}

static void pasid(void)
{
	begin("pasid");
	int d = open_cdev(edu), i = open("/dev/iommu", O_RDWR);
	uint32_t dev;
	if (d < 0 || i < 0 || bind_to(d, i, &dev))
		return;
	struct iommu_hwpt_alloc h = { .size = sizeof(h), .flags = IOMMU_HWPT_ALLOC_PASID, .dev_id = dev, .pt_id = ioas(i) };
	uint32_t as = ioas(i);
	struct vfio_device_attach_iommufd_pt at = { .argsz = sizeof(at), .flags = VFIO_DEVICE_ATTACH_PASID, .pasid = 5, .pt_id = as };
	T("ATTACH an ioas at PASID 5, device without PASIDs", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	T("HWPT_ALLOC with the PASID flag", ioctl(i, IOMMU_HWPT_ALLOC, &h));
	at.pt_id = h.out_hwpt_id;
	T("ATTACH that at PASID 5", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	struct vfio_device_detach_iommufd_pt de = { .argsz = sizeof(de), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = 5 };
	T("DETACH PASID 5", ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, &de));
	at.pt_id = as;
	at.pasid = 0;
	T("ATTACH an ioas at PASID 0", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at));
	T("then a plain ATTACH", attach(d, 0, &as));
	T("then a plain DETACH", detach(d, 0));
	de.pasid = 0;
	T("DETACH PASID 0", ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, &de));
	T("a plain ATTACH again", attach(d, 0, &as));
	close(d);
	close(i);
}

/* ---------------------------------------------------------------- the node */
static const char *cdev_name(const char *bdf)
{
	static char name[NAME_MAX + 1];
	char path[320];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	DIR *d = opendir(path);
	strcpy(name, "?");
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			strcpy(name, e->d_name);
	if (d)
		closedir(d);
	return name;
}

static void note_lines(const char *path, const char *with)
{
	char line[512];
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, with))
			note("%.*s", (int)strcspn(line, "\n"), line);
	if (f)
		fclose(f);
}

static void nodes(void)
{
	begin("cdev node");
	char path[600], dev[64], b[8];
	struct stat st = { 0 }, st2 = { 0 };
	const char *name = cdev_name(edu);
	T("name in vfio-dev", strncmp(name, "vfio", 4) ? -1 : 0);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	T("stat", stat(path, &st));
	note("mode %o", st.st_mode);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/dev", name);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, dev, sizeof(dev) - 1);
	close(fd);
	dev[n > 0 ? n : 0] = 0;
	snprintf(path, sizeof(path), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	T("its number and the file dev agree", strcmp(path, dev) ? -1 : 0);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device", name);
	T("link device", readlink(path, dev, sizeof(dev)) < 0 ? -1 : 0);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/subsystem", name);
	T("link subsystem", readlink(path, dev, sizeof(dev)) < 0 ? -1 : 0);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = TFD("open read only", open(path, O_RDONLY));
	T("fstat", fstat(fd, &st2));
	note("mode %o, same number %d, same inode %d", st2.st_mode, st2.st_rdev == st.st_rdev, st2.st_ino == st.st_ino);
	T("read", read(fd, b, 4));
	T("write", write(fd, b, 4));
	T("lseek", lseek(fd, 0, SEEK_SET));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, dev, sizeof(dev) - 1);
	T("name of the descriptor", n > 22 && !memcmp(dev, "/dev/vfio/devices/vfio", 22) ? 0 : -1);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	T("fdinfo", access(path, R_OK));
	note_lines(path, "vfio");
	T("mmap, writable", try_mmap(fd, PG, PROT_WRITE, MAP_SHARED, 0));
	close(fd);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	T("open with O_CREAT | O_EXCL", open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
	T("open of a number that is not there", open("/dev/vfio/devices/vfio999", O_RDWR));
}

/* ---------------------------------------------------------------- binding */
static void binding(void)
{
	begin("cdev bind");
	int d = open_cdev(edu), i = open("/dev/iommu", O_RDWR), i2 = open("/dev/iommu", O_RDWR);
	if (d < 0 || i < 0)
		return;
	uint8_t uuid[16] = { 1 };
	struct vfio_device_info di = { .argsz = sizeof(di) };
	struct vfio_device_bind_iommufd b = { .argsz = 16, .flags = VFIO_DEVICE_BIND_FLAG_TOKEN, .iommufd = i };
	T("token, argsz 16", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	b.argsz = 20;
	T("token, argsz 20", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	b.argsz = sizeof(b);
	b.token_uuid_ptr = 8;
	T("token, bad pointer", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	b.token_uuid_ptr = (uintptr_t)uuid;
	T("token, device is no VF", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	b.iommufd = 999;
	T("token, closed descriptor", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	b.token_uuid_ptr = 8;
	T("token, bad pointer, closed descriptor", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	close(d);
	d = open_cdev(edu);
	struct vfio_device_bind_iommufd *ro = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*ro = (struct vfio_device_bind_iommufd){ .argsz = sizeof(*ro), .iommufd = i };
	mprotect(ro, PG, PROT_READ);
	T("the answer cannot be written", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, ro));
	T("GET_INFO then", ioctl(d, VFIO_DEVICE_GET_INFO, &di));
	uint32_t id = 0, id2 = 0;
	T("BIND then", bind_to(d, i, &id));
	note("devid %u", id);
	struct vfio_device_attach_iommufd_pt *ra = (void *)ro;
	mprotect(ro, PG, PROT_READ | PROT_WRITE);
	*ra = (struct vfio_device_attach_iommufd_pt){ .argsz = sizeof(*ra), .pt_id = ioas(i) };
	uint32_t as = ra->pt_id;
	mprotect(ro, PG, PROT_READ);
	T("ATTACH, the answer cannot be written", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, ra));
	T("DESTROY the IOAS then", destroy(i, as));
	T("ATTACH, bad pointer", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, BAD));
	T("DETACH, bad pointer", ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, BAD));
	int d3 = open_cdev(edu);
	b = (struct vfio_device_bind_iommufd){ .argsz = sizeof(b), .iommufd = 999 };
	T("a second descriptor, closed iommufd", ioctl(d3, VFIO_DEVICE_BIND_IOMMUFD, &b));
	T("GET_INFO of the second descriptor", ioctl(d3, VFIO_DEVICE_GET_INFO, &di));
	close(d3);
	close(d);
	d = open_cdev(edu);
	T("ATTACH before BIND, bad pointer", ioctl(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, BAD));
	T("DETACH before BIND, bad pointer", ioctl(d, VFIO_DEVICE_DETACH_IOMMUFD_PT, BAD));
	T("FEATURE before BIND, bad pointer", ioctl(d, VFIO_DEVICE_FEATURE, BAD));
	b = (struct vfio_device_bind_iommufd){ .argsz = 15, .iommufd = i };
	T("argsz 15", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	b.argsz = 16;
	b.iommufd = -2;
	T("iommufd -2", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	b.iommufd = d;
	T("iommufd is the device itself", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	struct { struct vfio_device_bind_iommufd b; uint64_t tail; } l = { .b = { .argsz = sizeof(l), .iommufd = i } };
	T("a longer structure, tail zero", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &l));
	note("devid %u, argsz %u", l.b.out_devid, l.b.argsz);
	T("again, bad pointer", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, BAD));
	b.iommufd = i;
	b.flags = 2;
	T("again, flags 2", ioctl(d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	close(d);
	d = open_cdev(edu);
	T("after closing", bind_to(d, i, &id));
	note("devid %u", id);
	int n = open_cdev(msix);
	T("a second device to the same iommufd", bind_to(n, i, &id2));
	note("devid %u", id2);
	close(n);
	n = open_cdev(msix);
	T("a second device to another iommufd", bind_to(n, i2, &id2));
	note("devid %u", id2);
	close(i2);
	T("GET_INFO of it after closing its iommufd", ioctl(n, VFIO_DEVICE_GET_INFO, &di));
	close(n);
	int d2 = open_cdev(edu);
	close(d);
	T("another descriptor, after closing the bound one", bind_to(d2, i, &id));
	note("devid %u", id);
	close(d2);
	char path[600];
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", cdev_name(edu));
	d = open(path, O_RDONLY);
	T("a read-only descriptor", bind_to(d, i, &id));
	uint16_t command = 0;
	T("then pread", pread(d, &command, 2, (7ull << 40) + 4));
	T("then pwrite", pwrite(d, &command, 2, (7ull << 40) + 4));
	T("then a shared writable mmap", try_mmap(d, PG, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	T("then RESET", ioctl(d, VFIO_DEVICE_RESET));
	close(d);
	close(i);
}

/* ---------------------------------------------------------------- group or cdev */
static void exclusion(void)
{
	begin("cdev or group");
	int i = open("/dev/iommu", O_RDWR), d = open_cdev(edu), d2, g;
	uint32_t id;
	char path[64];
	struct vfio_group_status st = { .argsz = sizeof(st) };
	struct vfio_device_info di = { .argsz = sizeof(di) };
	strcpy(path, group_path(edu));
	if (d < 0 || i < 0)
		return;
	g = open(path, O_RDWR);
	T("BIND while the group is open", bind_to(d, i, &id));
	T("BIND while the group is open, closed descriptor", bind_to(d, 999, &id));
	struct ctx x = { open("/dev/vfio/vfio", O_RDWR), g, -1 };
	ioctl(g, VFIO_GROUP_SET_CONTAINER, &x.c);
	ioctl(x.c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	x.d = TFD("GET_DEVICE_FD while the cdev is open", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("BIND while the group's device is open", bind_to(d, i, &id));
	T("BIND of the group's device", bind_to(x.d, i, &id));
	T("BIND of the group's device, bad pointer", ioctl(x.d, VFIO_DEVICE_BIND_IOMMUFD, BAD));
	struct vfio_device_bind_iommufd b = { .argsz = 8, .iommufd = i };
	T("BIND of the group's device, argsz 8", ioctl(x.d, VFIO_DEVICE_BIND_IOMMUFD, &b));
	uint32_t as = ioas(i);
	T("ATTACH of the group's device", attach(x.d, 0, &as));
	T("ATTACH of the group's device, bad pointer", ioctl(x.d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, BAD));
	T("DETACH of the group's device", detach(x.d, 0));
	close(g);
	T("BIND, group closed, its device open", bind_to(d, i, &id));
	close(x.d);
	T("BIND, device closed too", bind_to(d, i, &id));
	T("open the group then", open(path, O_RDWR));
	d2 = TFD("open another descriptor of the device", open_cdev(edu));
	close(d);
	g = TFD("open the group, only unbound descriptors left", open(path, O_RDWR));
	T("GET_STATUS", ioctl(g, VFIO_GROUP_GET_STATUS, &st));
	note("flags 0x%x", st.flags);
	close(g);
	close(d2);
	close(x.c);
	/* the iommufd as the group's container, and the device of another group bound to it */
	x = (struct ctx){ -1, open(path, O_RDWR), -1 };
	struct iommu_vfio_ioas vi = { .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = as };
	ioctl(i, IOMMU_VFIO_IOAS, &vi);
	T("SET_CONTAINER an iommufd", ioctl(x.g, VFIO_GROUP_SET_CONTAINER, &i));
	x.d = TFD("GET_DEVICE_FD", ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, edu));
	T("GET_INFO", ioctl(x.d, VFIO_DEVICE_GET_INFO, &di));
	T("BIND of it", bind_to(x.d, i, &id));
	T("ATTACH of it", attach(x.d, 0, &as));
	T("DETACH of it", detach(x.d, 0));
	d = open_cdev(msix);
	T("BIND another device to that iommufd", bind_to(d, i, &id));
	T("ATTACH it to that IOAS", attach(d, 0, &(uint32_t){ vi.ioas_id }));
	close(d);
	T("DESTROY the IOAS", destroy(i, vi.ioas_id));
	close(x.d);
	T("DESTROY the IOAS, device closed", destroy(i, vi.ioas_id));
	close(x.g);
	T("DESTROY the IOAS, group closed", destroy(i, vi.ioas_id));
	close(i);
}

/* ---------------------------------------------------------------- a shell unbinds it */
static int wait_and_bind(pid_t pid)
{
	char path[128];
	int status = -1, fd = open("/sys/bus/pci/drivers/vfio-pci/bind", O_WRONLY), ret;
	waitpid(pid, &status, 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", edu);
	ret = !access(path, F_OK) || status || write(fd, edu, strlen(edu)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

static void unbinding(void)
{
	begin("cdev driver unbind");
	int d = open_cdev(edu), i = open("/dev/iommu", O_RDWR), e = eventfd(0, EFD_NONBLOCK);
	uint32_t id;
	if (d < 0 || i < 0)
		return;
	pid_t pid = unbind_by_shell();
	usleep(500000);
	T("open, not bound: unbind has ended", waitpid(pid, NULL, WNOHANG));
	T("BIND meanwhile", bind_to(d, i, &id));
	T("open meanwhile", open_cdev(edu) < 0 ? -1 : 0);
	close(d);
	T("after closing", wait_and_bind(pid));
	d = open_cdev(edu);
	T("BIND", bind_to(d, i, &id));
	char buf[sizeof(struct vfio_irq_set) + 4] = { 0 };
	struct vfio_irq_set *s = (void *)buf;
	*s = (struct vfio_irq_set){ .argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				    .index = VFIO_PCI_REQ_IRQ_INDEX, .count = 1 };
	memcpy(s->data, &e, 4);
	T("SET_IRQS request", ioctl(d, VFIO_DEVICE_SET_IRQS, s));
	pid = unbind_by_shell();
	poll(&(struct pollfd){ .fd = e, .events = POLLIN }, 1, 20000);
	T("bound: unbind has ended", waitpid(pid, NULL, WNOHANG));
	uint64_t times = 0;
	T("the device was asked back", read(e, &times, 8));
	close(d);
	T("after closing that", wait_and_bind(pid));
	d = open_cdev(edu);
	T("BIND again", bind_to(d, i, &id));
	close(d);
	close(e);
	close(i);
}

/* ---------------------------------------------------------------- hot reset by device id */
struct reset_info { struct vfio_pci_hot_reset_info h; struct vfio_pci_dependent_device dev[8]; };

static void note_info(const struct reset_info *r, uint32_t dev)
{
	note("by %s, %s, count %u", r->h.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID ? "device" : "group",
	     r->h.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED ? "owned" : "not owned", r->h.count);
	for (uint32_t k = 0; k < r->h.count && k < 8; k++) {
		const uint32_t id = r->dev[k].devid;

		note(" %s at %02x:%02x.%x", id == dev ? "its id" : id == VFIO_PCI_DEVID_OWNED ? "no id, but owned" :
		     id == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED ? "not owned" : "another id",
		     r->dev[k].bus, r->dev[k].devfn >> 3, r->dev[k].devfn & 7);
	}
}

static void hot_reset(void)
{
	begin("cdev hot reset");
	int i = open("/dev/iommu", O_RDWR), d = open_cdev(edu), n = open_cdev(msix), g = open(group_path(edu), O_RDWR);
	if (d < 0 || n < 0 || i < 0)
		return;
	uint32_t dev = 0, nv = 0;
	struct reset_info r = { .h.argsz = sizeof(r) };
	struct { struct vfio_pci_hot_reset h; int fd[4]; } hr = { .h = { .argsz = sizeof(hr) }, .fd = { g } };
	T("INFO before BIND", ioctl(n, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &r));
	T("RESET before BIND", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	T("BIND", bind_to(n, i, &nv));
	T("INFO", ioctl(n, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &r));
	note_info(&r, nv);
	r.h.argsz = sizeof(r.h);
	T("INFO argsz of the header only", ioctl(n, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &r));
	note("argsz %u count %u flags 0x%x", r.h.argsz, r.h.count, r.h.flags);
	r.h.argsz = 8;
	T("INFO argsz 8", ioctl(n, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &r));
	T("RESET count 0", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.argsz = sizeof(hr.h);
	T("RESET count 0, argsz 12", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.argsz = sizeof(hr);
	hr.h.flags = 1;
	T("RESET flags 1", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.flags = 0;
	hr.h.count = 1;
	T("RESET count 1, a group", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.fd[0] = n;
	T("RESET count 1, the device itself", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.fd[0] = -1;
	T("RESET count 1, descriptor -1", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.count = 100;
	T("RESET count 100", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	close(g);
	r.h.argsz = sizeof(r);
	bind_to(d, i, &dev);
	T("INFO on the root bus", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &r));
	hr.h.count = 0;
	T("RESET on the root bus", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	close(n);
	/* through its group, with an iommufd as container */
	g = open(group_path(msix), O_RDWR);
	uint32_t as = ioas(i);
	struct iommu_vfio_ioas vi = { .size = sizeof(vi), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = as };
	ioctl(i, IOMMU_VFIO_IOAS, &vi);
	ioctl(g, VFIO_GROUP_SET_CONTAINER, &i);
	n = TFD("GET_DEVICE_FD of a group in an iommufd", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, msix));
	T("INFO of that", ioctl(n, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &r));
	note("flags 0x%x count %u", r.h.flags, r.h.count);
	T("RESET count 0 of that", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	hr.h.count = 1;
	hr.fd[0] = g;
	T("RESET of that with its group", ioctl(n, VFIO_DEVICE_PCI_HOT_RESET, &hr));
	close(n);
	close(g);
	close(d);
	close(i);
}

/* ---------------------------------------------------------------- as any device */
static void usual(void)
{
	begin("cdev as device");
	int i = open("/dev/iommu", O_RDWR), n = open_cdev(msix), e = eventfd(0, EFD_NONBLOCK);
	uint32_t id, as = ioas(i);
	uint64_t c = 0;
	uint16_t command = 0x0406;
	if (n < 0 || i < 0 || bind_to(n, i, &id))
		return;
	struct vfio_device_info di = { .argsz = sizeof(di) };
	T("GET_INFO", ioctl(n, VFIO_DEVICE_GET_INFO, &di));
	note("flags 0x%x regions %u irqs %u", di.flags, di.num_regions, di.num_irqs);
	struct vfio_region_info ri = { .argsz = sizeof(ri) };
	T("GET_REGION_INFO", ioctl(n, VFIO_DEVICE_GET_REGION_INFO, &ri));
	note("flags 0x%x offset 0x%llx size 0x%llx", ri.flags, ri.offset, ri.size);
	T("pread of config", pread(n, &c, 4, 7ll << 40));
	note("0x%llx", (unsigned long long)c);
	T("pwrite of the command register", pwrite(n, &command, 2, (7ll << 40) + 4));
	T("mmap of BAR 0, not attached", try_mmap(n, PG, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	char buf[sizeof(struct vfio_irq_set) + 4] = { 0 };
	struct vfio_irq_set *s = (void *)buf;
	*s = (struct vfio_irq_set){ .argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				    .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 1 };
	memcpy(s->data, &e, 4);
	T("SET_IRQS MSI-X", ioctl(n, VFIO_DEVICE_SET_IRQS, s));
	s->argsz = sizeof(*s);
	s->flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	T("trigger it", ioctl(n, VFIO_DEVICE_SET_IRQS, s));
	T("the eventfd has it", read(e, &c, 8));
	T("RESET", ioctl(n, VFIO_DEVICE_RESET));
	T("ATTACH", attach(n, 0, &as));
	struct vfio_device_feature f = { .argsz = sizeof(f), .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY };
	T("FEATURE, probe", ioctl(n, VFIO_DEVICE_FEATURE, &f));
	int n2 = dup(n);
	close(n);
	T("GET_INFO of a dup, after closing the original", ioctl(n2, VFIO_DEVICE_GET_INFO, &di));
	close(n2);
	T("group free again", close(open(group_path(msix), O_RDWR)));
	close(e);
	close(i);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	nodes();
	lifetimes();
	cdev();
	pasid();
	binding();
	exclusion();
	unbinding();
	hot_reset();
	usual();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
