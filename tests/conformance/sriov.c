/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sriov.c - virtual functions: the attributes that make them, their directories, their tokens, and one of them through VFIO.
 *
 * usage: sriov edu=ADDRESS igb=ADDRESS nvme=ADDRESS    a device without SR-IOV, QEMU's igb, which has 8 virtual functions,
 * and its nvme, which has 4 of another shape and is asked less; all bound to vfio-pci.  See rows.h for what is printed;
 * the bytes of config space are asked as config.c tells, which also says what is not compared.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/conformance/config_space.h"

/* Texts of the moment, some at once. */
__attribute__((format(printf, 1, 2))) static const char *say(const char *fmt, ...)
{
	static char texts[8][200];
	static unsigned next;
	char *text = texts[next++ % 8];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(texts[0]), fmt, ap);
	va_end(ap);
	return text;
}
#define PARAM "/sys/module/vfio_pci/parameters/enable_sriov"

static char pf[16], vf[8][16];
static const unsigned char token_bytes[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
static unsigned char *token; /* of low address: half of it may be all that is handed in */
#define TOKEN "00112233-4455-6677-8899-aabbccddeeff"

/* ---- sysfs ----------------------------------------------------------------------------------------- */

static const char *link_of(const char *path)
{
	static char link[PATH_MAX];
	ssize_t n = readlink(path, link, sizeof(link) - 1);

	if (n < 0)
		return "none";
	link[n] = 0;
	return strrchr(link, '/') ? strrchr(link, '/') + 1 : link;
}

static long write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err;
	long ret = fd < 0 ? -1 : write(fd, text, strlen(text));

	err = errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	return ret;
}

static const char *plain(const char *text)
{
	static char out[96];
	size_t n = 0;

	for (; *text && n < sizeof(out) - 3; text++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, *text == '\n' ? "\\n" : "%c", *text);
	out[n] = 0;
	return out;
}

static unsigned how_many(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		n += !access(pci_attr(pf, say("virtfn%u", i)), F_OK);
	return n;
}

static void note_vfs(void)
{
	note("numvfs %s, %u are there", first_line(pci_attr(pf, "sriov_numvfs")), how_many());
	note(", virtfn0 %s", link_of(pci_attr(pf, "virtfn0")));
	if (!access(pci_attr(vf[0], "vendor"), F_OK))
		note(", driver %s, override %s", link_of(pci_attr(vf[0], "driver")), first_line(pci_attr(vf[0], "driver_override")));
}

#define W(attr, text) ({ T(say("%s = \"%s\"", attr, plain(text)), write_text(pci_attr(pf, attr), text)); note_vfs(); })

static void attributes(const char *of, const char *area)
{
	static const char *const names[] = {
		"sriov_totalvfs", "sriov_numvfs", "sriov_offset", "sriov_stride", "sriov_vf_device", "sriov_drivers_autoprobe",
		"sriov_vf_total_msix", "sriov_vf_msix_count", "physfn", "virtfn0",
	};
	struct stat st;

	begin(area);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		T(names[i], lstat(pci_attr(of, names[i]), &st));
		if (!lstat(pci_attr(of, names[i]), &st))
			note("mode %o, %s", st.st_mode & 07777, S_ISLNK(st.st_mode) ? link_of(pci_attr(of, names[i])) : first_line(pci_attr(of, names[i])));
	}
}

static void numbers(void)
{
	static const char *const texts[] = {
		"", "\n", " ", "x", "-1", "0", "9", "256", "65535", "65536", "4294967296", "0x2", "0", "2\n", "2", "2 ", "3", "0\n", "1 2", "010", "0", "1,", "8", "1", "0",
		"4", "4", "8", "0", "0",
	};
	static const char *const fixed[] = { "sriov_totalvfs", "sriov_offset", "sriov_stride", "sriov_vf_device", "sriov_vf_total_msix" };
	static const char *const flags[] = { "", "x", "2", "0", "0", "1\n", "y", "N", "on", "off", "1" };

	begin("attributes that cannot be written");
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		W(fixed[i], "1");
	begin("enable_sriov");
	row("at first", 0, 0);
	note("%s", first_line(PARAM));
	W("sriov_numvfs", "0");
	W("sriov_numvfs", "1");
	W("sriov_numvfs", "9");
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		T(say("= \"%s\"", plain(flags[i])), write_text(PARAM, flags[i]));
		note("%s", first_line(PARAM));
	}
	begin("sriov_numvfs");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		W("sriov_numvfs", texts[i]);
	W("sriov_numvfs", "2");
	T("enable_sriov = \"N\" while there are two", write_text(PARAM, "N"));
	W("sriov_numvfs", "0");
	write_text(PARAM, "Y");
	W("sriov_numvfs", "0");
	begin("sriov_drivers_autoprobe");
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		W("sriov_drivers_autoprobe", flags[i]);
		note(", %s", first_line(pci_attr(pf, "sriov_drivers_autoprobe")));
	}
	W("sriov_drivers_autoprobe", "0");
	W("sriov_numvfs", "1");
	T("drivers_probe it", write_text("/sys/bus/pci/drivers_probe", vf[0]));
	note_vfs();
	W("sriov_numvfs", "0");
	W("sriov_drivers_autoprobe", "1");
}

/* ---- who drives the physical function ----------------------------------------------------------------- */

static void drivers(void)
{
	begin("the physical function's driver");
	W("sriov_numvfs", "2");
	T("unbind it", write_text("/sys/bus/pci/drivers/vfio-pci/unbind", pf));
	note_vfs();
	W("sriov_numvfs", "1");
	W("sriov_numvfs", "0");
	T("bind it", write_text("/sys/bus/pci/drivers/vfio-pci/bind", pf));
	note_vfs();
	W("sriov_numvfs", "2");
	T("unbind a virtual one", write_text("/sys/bus/pci/drivers/vfio-pci/unbind", vf[0]));
	note_vfs();
	T("override it by nothing", write_text(pci_attr(vf[0], "driver_override"), "\n"));
	T("bind it by name", write_text("/sys/bus/pci/drivers/vfio-pci/bind", vf[0]));
	note_vfs();
	T("override it by vfio-pci", write_text(pci_attr(vf[0], "driver_override"), "vfio-pci"));
	T("bind it", write_text("/sys/bus/pci/drivers/vfio-pci/bind", vf[0]));
	note_vfs();
	T("remove a virtual one", write_text(pci_attr(vf[1], "remove"), "1"));
	note_vfs();
	T("rescan", write_text("/sys/bus/pci/rescan", "1"));
	note_vfs();
	W("sriov_numvfs", "0");
	W("sriov_numvfs", "2");
	T("sriov_numvfs of a virtual one", write_text(pci_attr(vf[0], "sriov_numvfs"), "1"));
}

/* ---- a virtual function's directory ------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void directory(const char *of, const char *area)
{
	char *names[128];
	unsigned n = 0;
	DIR *dir = opendir(pci_attr(of, ""));
	struct stat st;

	begin(area);
	for (struct dirent *e; dir && (e = readdir(dir)) && n < 128;)
		if (e->d_name[0] != '.' && strcmp(e->d_name, "firmware_node") && strcmp(e->d_name, "numa_node"))
			names[n++] = strdup(e->d_name);
	closedir(dir);
	qsort(names, n, sizeof(*names), by_name);
	for (unsigned i = 0; i < n; i++) {
		lstat(pci_attr(of, names[i]), &st);
		row(names[i], 0, 0);
		note("%s %o", S_ISLNK(st.st_mode) ? "link" : S_ISDIR(st.st_mode) ? "directory" : "file", st.st_mode & 0777);
		free(names[i]);
	}
}

static void contents(const char *area)
{
	static const char *const names[] = {
		"vendor", "device", "class", "revision", "subsystem_vendor", "subsystem_device", "modalias", "irq", "enable", "reset_method", "ari_enabled",
		"dma_mask_bits", "consistent_dma_mask_bits", "msi_bus", "broken_parity_status", "d3cold_allowed", "driver_override", "power_state",
		"max_link_speed", "max_link_width", "current_link_width", "uevent",
	};
	struct stat st;
	FILE *file;
	unsigned long long start, end, flags;

	begin(area);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		row(names[i], 0, 0);
		note("%s", first_line(pci_attr(vf[0], names[i])));
	}
	row("physfn", 0, 0);
	note("%s", link_of(pci_attr(vf[0], "physfn")));
	row("virtfn1", 0, 0);
	note("%s", link_of(pci_attr(pf, "virtfn1")));
	row("its group", 0, 0);
	char group[32];
	snprintf(group, sizeof(group), "%s", link_of(pci_attr(vf[0], "iommu_group")));
	note("%s", strcmp(group, link_of(pci_attr(pf, "iommu_group"))) ? "its own" : "the physical function's");
	note(", %s", strcmp(group, link_of(pci_attr(vf[1], "iommu_group"))) ? "not the next one's" : "the next one's too");
	file = fopen(pci_attr(vf[0], "resource"), "r");
	for (unsigned i = 0; file && fscanf(file, "%llx %llx %llx", &start, &end, &flags) == 3; i++) {
		row(say("resource, line %u", i), 0, 0);
		note("%llu bytes, flags %llx", start ? end - start + 1 : 0, flags);
	}
	fclose(file);
	file = fopen(pci_attr(pf, "resource"), "r");
	for (unsigned i = 0; file && fscanf(file, "%llx %llx %llx", &start, &end, &flags) == 3; i++) {
		row(say("the physical function's resource, line %u", i), 0, 0);
		note("%llu bytes, flags %llx", start ? end - start + 1 : 0, flags);
	}
	fclose(file);
	for (unsigned i = 0; i < 6; i++) {
		row(say("resource%u", i), 0, 0);
		note("%s, %lld bytes", lstat(pci_attr(vf[0], say("resource%u", i)), &st) ? "not there" : "there",
		     stat(pci_attr(vf[0], say("resource%u", i)), &st) ? 0ll : (long long)st.st_size);
	}
}

/* ---- tokens ------------------------------------------------------------------------------------------------ */

static int feature(int fd, uint32_t argsz, uint32_t flags, const void *data)
{
	struct { struct vfio_device_feature f; unsigned char data[32]; } f = { .f = { .argsz = argsz, .flags = flags } };

	if (data)
		memcpy(f.data, data, 16);
	return ioctl(fd, VFIO_DEVICE_FEATURE, &f);
}

static void token_feature(int fd)
{
	const uint32_t id = VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, set = VFIO_DEVICE_FEATURE_SET, get = VFIO_DEVICE_FEATURE_GET,
		       probing = VFIO_DEVICE_FEATURE_PROBE;

	T("probe", feature(fd, 8, id | probing, NULL));
	T("probe SET", feature(fd, 8, id | probing | set, NULL));
	T("probe GET", feature(fd, 8, id | probing | get, NULL));
	T("probe both", feature(fd, 8, id | probing | set | get, NULL));
	T("GET", feature(fd, 24, id | get, NULL));
	T("neither", feature(fd, 24, id, NULL));
	T("SET and GET", feature(fd, 24, id | set | get, NULL));
	T("SET, argsz 8", feature(fd, 8, id | set, NULL));
	T("SET, argsz 23", feature(fd, 23, id | set, token));
	T("SET, argsz 32", feature(fd, 32, id | set, token));
	T("SET, argsz 7", feature(fd, 7, id | set, token));
	T("SET with an unknown flag", feature(fd, 24, id | set | 1u << 20, token));
	T("SET", feature(fd, 24, id | set, token));
	T("SET again", feature(fd, 24, id | set, token));
}

static int container;

/* Ask for a device by a text, in its group. */
static int by_text(const char *of, const char *text)
{
	int group = open(group_path(of), O_RDWR), fd;

	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		fprintf(stderr, "%s: SET_CONTAINER: %m\n", of);
	ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, text);
	int err = errno;
	close(group);
	errno = err;
	return fd;
}

#define GET(of, text) ({ int fd_ = TFD(say("\"%s\"", text_for(text)), by_text(of, text)); if (fd_ >= 0) close(fd_); fd_; })

/* The text with the addresses' names in it. */
static const char *text_for(const char *text)
{
	static char out[160];

	if (!strncmp(text, pf, strlen(pf)))
		snprintf(out, sizeof(out), "PF%s", text + strlen(pf));
	else if (!strncmp(text, vf[0], strlen(vf[0])))
		snprintf(out, sizeof(out), "VF%s", text + strlen(vf[0]));
	else
		snprintf(out, sizeof(out), "%s", text);
	return out;
}

static const char *const options[] = {
	"", " ", " vf_token=" TOKEN, " vf_token=ffffffff-4455-6677-8899-aabbccddeeff", " vf_token=00112233-4455-6677-8899-AABBCCDDEEFF",
	" vf_token=00112233445566778899aabbccddeeff", " vf_token=", " vf_token", " vf_token=x", " vf_token=" TOKEN " ", "  vf_token=" TOKEN,
	" vf_token=" TOKEN "0", " vf_token=00112233-4455-6677-8899-aabbccddee", " vf_token=" TOKEN " vf_token=" TOKEN, " token=" TOKEN, " x", " VF_TOKEN=" TOKEN,
	" vf_token=" TOKEN " x", "x", ",vf_token=" TOKEN,
};

static void names_of(const char *of)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		GET(of, say("%s%s", of, options[i]));
}

/* Linux saves a device's registers when it suspends it, some time after it is closed: not while the physical one resets. */
static void wait_suspended(const char *of)
{
	for (int i = 0; i < 100 && strcmp(first_line(pci_attr(of, "power/runtime_status")), "suspended"); i++)
		usleep(10000);
}

static void tokens(void)
{
	int fd, v;

	container = open("/dev/vfio/vfio", O_RDWR);
	begin("token: names of a device without SR-IOV");
	names_of(bdf);
	begin("token: the physical function, no virtual one in use");
	names_of(pf);
	begin("token: a virtual function, the physical one not in use");
	names_of(vf[0]);
	begin("token: of the physical function");
	wait_suspended(vf[0]);
	fd = by_text(pf, pf);
	token_feature(fd);
	begin("token: a virtual function, the physical one in use");
	names_of(vf[0]);
	begin("token: of a virtual function");
	v = by_text(vf[0], say("%s vf_token=" TOKEN, vf[0]));
	row("open with the token", v < 0 ? -1 : 0, errno);
	token_feature(v);
	begin("token: both in use");
	W("sriov_numvfs", "4");
	T("SET another", feature(fd, 24, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | VFIO_DEVICE_FEATURE_SET, "0123456789abcdef"));
	GET(vf[1], say("%s vf_token=" TOKEN, vf[1]));
	GET(vf[1], say("%s vf_token=30313233-3435-3637-3839-616263646566", vf[1]));
	close(fd);
	begin("token: a virtual function in use, the physical one closed");
	GET(pf, pf);
	GET(pf, say("%s vf_token=" TOKEN, pf));
	GET(pf, say("%s vf_token=30313233-3435-3637-3839-616263646566", pf));
	GET(vf[1], vf[1]);
	GET(vf[1], say("%s vf_token=30313233-3435-3637-3839-616263646566", vf[1]));
	close(v);
	wait_suspended(vf[0]);
	begin("token: all closed again");
	GET(pf, say("%s vf_token=" TOKEN, pf));
	GET(vf[1], say("%s vf_token=30313233-3435-3637-3839-616263646566", vf[1]));
	GET(vf[1], say("%s vf_token=" TOKEN, vf[1]));
	GET(pf, pf);
	GET(vf[1], say("%s vf_token=" TOKEN, vf[1]));
	close(container);
}

#ifdef VFIO_DEVICE_BIND_FLAG_TOKEN
static int bind_with(int fd, int iommufd, uint32_t argsz, uint32_t flags, const void *uuid)
{
	struct vfio_device_bind_iommufd b = { .argsz = argsz, .flags = flags, .iommufd = iommufd, .token_uuid_ptr = (uintptr_t)uuid };

	return ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &b);
}

static void bind_row(const char *of, const char *what, uint32_t argsz, uint32_t flags, const void *uuid)
{
	int iommufd = open("/dev/iommu", O_RDWR), fd = open_cdev(of);

	T(what, bind_with(fd, iommufd, argsz, flags, uuid));
	close(fd);
	close(iommufd);
}

static void binds(const char *of)
{
	const uint32_t flag = VFIO_DEVICE_BIND_FLAG_TOKEN, whole = sizeof(struct vfio_device_bind_iommufd);
	unsigned char wrong[16] = { 1 };

	bind_row(of, "without a token", whole, 0, NULL);
	bind_row(of, "with the token, no flag", whole, 0, token);
	bind_row(of, "with the token", whole, flag, token);
	bind_row(of, "with a wrong one", whole, flag, wrong);
	bind_row(of, "with a bad pointer", whole, flag, BAD);
	bind_row(of, "with no pointer", whole, flag, NULL);
	bind_row(of, "with an unknown flag", whole, flag << 1, token);
	bind_row(of, "with argsz before the pointer", 16, flag, token);
	bind_row(of, "with argsz of half the pointer", 20, flag, token);
}

static void tokens_of_cdevs(void)
{
	int iommufd = open("/dev/iommu", O_RDWR), fd = open_cdev(pf);
	uint32_t id;

	begin("bind: a device without SR-IOV");
	binds(bdf);
	begin("bind: the physical function");
	binds(pf);
	begin("bind: a virtual function, the physical one not in use");
	binds(vf[0]);
	begin("bind: a virtual function, the physical one in use");
	wait_suspended(vf[0]);
	T("bind the physical one", bind_to(fd, iommufd, &id));
	T("set the token", feature(fd, 24, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | VFIO_DEVICE_FEATURE_SET, token));
	binds(vf[0]);
	close(fd);
	close(iommufd);
}
#endif

/* ---- one of them through VFIO ----------------------------------------------------------------------------------- */

static void infos(void)
{
	for (unsigned index = 0; index < 10; index++) {
		struct { struct vfio_region_info info; char caps[128]; } r = { .info = { .argsz = sizeof(r), .index = index } };

		T(say("region %u", index), ioctl(x.d, VFIO_DEVICE_GET_REGION_INFO, &r));
		note("%llu bytes, flags %#x", (unsigned long long)r.info.size, r.info.flags);
	}
	for (unsigned index = 0; index < 6; index++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

		T(say("irq index %u", index), ioctl(x.d, VFIO_DEVICE_GET_IRQ_INFO, &info));
		note("count %u, flags %#x", info.count, info.flags);
	}
	struct vfio_device_info info = { .argsz = sizeof(info) };
	T("device info", ioctl(x.d, VFIO_DEVICE_GET_INFO, &info));
	note("flags %#x, %u regions, %u irqs", info.flags, info.num_regions, info.num_irqs);
	T("INTx", enable(VFIO_PCI_INTX_IRQ_INDEX, 1, eventfd(0, 0)));
}

static void through_vfio(const char *vf_name, const char *while_area)
{
	struct ctx physical;

	wait_suspended(vf[0]);
	physical = setup(pf, VFIO_TYPE1v2_IOMMU, 1);
	begin(vf_name);
	feature(physical.d, 24, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | VFIO_DEVICE_FEATURE_SET, token);
	name = vf_name;
	x = setup(vf[0], VFIO_TYPE1v2_IOMMU, 0);
	x.d = ioctl(x.g, VFIO_GROUP_GET_DEVICE_FD, say("%s vf_token=" TOKEN, vf[0]));
	cfg = 7ull << 40;
	size = 4096;
	raw_fd = open(pci_attr(vf[0], "config"), O_RDWR | O_CLOEXEC);
	if (x.d < 0 || raw_fd < 0) {
		fprintf(stderr, "%s: %m\n", vf[0]);
		return;
	}
	walk();
	infos();
	lists();
	bytes();
	nobodys("bytes of nobody below 0x100", 0, EXT);
	nobodys("bytes of nobody from 0x100 on", EXT, ALL);
	wide();
	edges();
	command();
	messages();
	put(PCI_COMMAND, 2, 0x406);
	T("DEVICE_RESET", ioctl(x.d, VFIO_DEVICE_RESET));
	note("command %04x, real %04x", command_bits(false), command_bits(true));
	put(PCI_COMMAND, 2, 2);
	begin(while_area);
	row("now", 0, 0);
	note_reach();
	T("the physical function's memory decoding off", pwrite(physical.d, "\0\0", 2, cfg + PCI_COMMAND));
	note_reach();
	T("and on", pwrite(physical.d, "\2\0", 2, cfg + PCI_COMMAND));
	note_reach();
	T("the physical function is reset", ioctl(physical.d, VFIO_DEVICE_RESET));
	note_reach();
	teardown(physical);
	row("the physical function is closed", 0, 0);
	note_reach();
	close(raw_fd);
	teardown(x);
}

/* Where the virtual functions of @of are, which follow each other on one bus. */
static void use(const char *of)
{
	unsigned first, stride;

	snprintf(pf, sizeof(pf), "%.12s", of);
	first = (unsigned)strtoul(pf + 8, NULL, 16) * 8 + (unsigned)atoi(first_line(pci_attr(pf, "sriov_offset")));
	stride = (unsigned)atoi(first_line(pci_attr(pf, "sriov_stride")));
	for (unsigned i = 0; i < 8; i++)
		snprintf(vf[i], sizeof(vf[i]), "%.8s%02x.%u", pf, (first + i * stride) / 8 % 32, (first + i * stride) % 8);
}

static void physical_registers(const char *pf_name)
{
	name = pf_name;
	begin(name);
	x = setup(pf, VFIO_TYPE1v2_IOMMU, 1);
	cfg = 7ull << 40;
	size = 4096;
	raw_fd = open(pci_attr(pf, "config"), O_RDWR | O_CLOEXEC);
	walk();
	lists();
	bytes();
	close(raw_fd);
	teardown(x);
}

static void controller(void)
{
	attributes(pf, "attributes of the controller");
	physical_registers("nvmepf");
	begin("sriov_numvfs of the controller");
	W("sriov_numvfs", "5");
	W("sriov_numvfs", "4");
	W("sriov_numvfs", "0");
	W("sriov_numvfs", "2");
	attributes(vf[1], "attributes of the controller's virtual function");
	wait_suspended(vf[0]);
	contents("contents of its attributes");
	through_vfio("nvmevf", "a virtual function while its controller changes");
	W("sriov_numvfs", "0");
}

int main(int argc, char **argv)
{
	if (argc < 4 || strncmp(argv[1], "edu=", 4) || strncmp(argv[2], "igb=", 4) || strncmp(argv[3], "nvme=", 5)) {
		fprintf(stderr, "usage: %s edu=ADDRESS igb=ADDRESS nvme=ADDRESS\n", argv[0]);
		return 2;
	}
	token = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	memcpy(token, token_bytes, sizeof(token_bytes));
	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	snprintf(bdf, sizeof(bdf), "%s", argv[1] + 4);
	use(argv[2] + 4);
	attributes(bdf, "attributes of a device without SR-IOV");
	attributes(pf, "attributes of the physical function");
	numbers();
	drivers();
	attributes(vf[0], "attributes of a virtual function");
	directory(pf, "directory of the physical function");
	directory(vf[0], "directory of a virtual function");
	contents("contents of a virtual function's attributes");
	tokens();
#ifdef VFIO_DEVICE_BIND_FLAG_TOKEN
	if (!access("/dev/iommu", F_OK))
		tokens_of_cdevs();
#endif
	through_vfio("igbvf", "a virtual function while its physical one changes");
	use(argv[3] + 5);
	controller();
	flush_row();
	fprintf(stderr, "%d cases\n", count);
	return 0;
}
