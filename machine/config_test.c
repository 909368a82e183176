/* SPDX-License-Identifier: BSD-3-Clause */
/* config_test.c - device texts and machine files, good and bad; what is filled in; saving. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/lib/explain.h"
#include "machine/machine_priv.h"

/* fail_msg() with a name of its own: explain.h took cmocka's fail() away. */
#define wrong(...) do { print_error(__VA_ARGS__); print_error("\n"); _fail(__FILE__, __LINE__); } while (0)

static char dir[] = "/tmp/softvfio-config-test-XXXXXX";

static int setup(void **state)
{
	explain_enable();
	*state = machine_config_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	machine_config_free(*state);
	return 0;
}

static struct device_config *add_ok(struct machine_config *cfg, const char *text)
{
	assert_int_equal(machine_config_add(cfg, text), 0);
	return &cfg->devices[cfg->nr_devices - 1];
}

/* Refused with EINVAL, a reason in which @why occurs, and nothing added. */
static void add_fails(struct machine_config *cfg, const char *text, const char *why)
{
	unsigned before = cfg->nr_devices;
	const char *reason;

	explain_begin();
	assert_int_equal(machine_config_add(cfg, text), -EINVAL);
	reason = explain_take();
	assert_non_null(reason);
	if (!strstr(reason, why))
		wrong("\"%s\" is refused with \"%s\", not \"%s\"", text, reason, why);
	assert_int_equal(cfg->nr_devices, before);
}

static const char *write_text(const char *text)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/test.ini", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static void load_ok(struct machine_config *cfg, const char *text)
{
	explain_begin();
	if (machine_config_load(cfg, write_text(text)))
		wrong("refused: %s", explain_take());
}

static void load_fails(struct machine_config *cfg, const char *text, int line, const char *why)
{
	unsigned before = cfg->nr_devices;
	char place[160];
	const char *reason;

	explain_begin();
	assert_int_equal(machine_config_load(cfg, write_text(text)), -EINVAL);
	reason = explain_take();
	assert_non_null(reason);
	snprintf(place, sizeof(place), "%s/test.ini:%d: ", dir, line);
	if (strncmp(reason, place, strlen(place)) || !strstr(reason, why))
		wrong("refused with \"%s\", not \"%s%s\"", reason, place, why);
	assert_int_equal(cfg->nr_devices, before);
}

static void test_device_text(void **state)
{
	struct device_config *dev = add_ok(*state, "edu");

	assert_ptr_equal(dev->model, &edu_model);
	assert_int_equal(dev->devid, -1);
	assert_int_equal(dev->group, -1);
	assert_string_equal(device_config_driver(dev), "vfio-pci");
	dev = add_ok(*state, "nvme,size=64M,addr=0000:05:00.0,group=3,driver=none");
	assert_int_equal(dev->devid, 0x0500);
	assert_int_equal(dev->group, 3);
	assert_string_equal(device_config_driver(dev), "none");
	assert_int_equal(dev->nr_options, 1);
	assert_string_equal(dev->options[0].key, "size");
	assert_string_equal(dev->options[0].value, "64M");
	dev = add_ok(*state, "root-port,addr=0000:00:1f.7,bus=0x20");
	assert_int_equal(dev->devid, 0x00ff);
	assert_int_equal(dev->bus, 0x20);
	assert_string_equal(device_config_driver(dev), "pcieport");
	assert_string_equal(device_config_driver(add_ok(*state, "edu,driver=edu")), "edu");
}

static void test_bad_device_text(void **state)
{
	struct machine_config *cfg = *state;

	add_fails(cfg, "", "no device model \"\"");
	add_fails(cfg, "foo", "no device model \"foo\"; there are edu, ioat, nvme, pl330, platdev, root-port");
	add_fails(cfg, "edu,inject=flood", "there is no fault \"flood\"");
	add_fails(cfg, "/dev/null,x=y", "is no regular file");
	add_fails(cfg, "edu,foo=1", "edu has no key foo; it knows addr, group, driver, iommu, inject, dma_mask, delay_us");
	add_fails(cfg, "edu,", "is not key=value");
	add_fails(cfg, "edu,,group=1", "is not key=value");
	add_fails(cfg, "edu,group", "\"group\" is not key=value");
	add_fails(cfg, "edu,=1", "is not key=value");
	add_fails(cfg, "edu,group=", "group= is not a number");
	add_fails(cfg, "edu,group=-1", "group=-1 is not a number in [0, 65535]");
	add_fails(cfg, "edu,group=65536", "not a number in [0, 65535]");
	add_fails(cfg, "edu,group=1,group=2", "group is given twice");
	add_fails(cfg, "edu,driver=nvme", "driver=nvme: edu takes vfio-pci, soft_vfio_pci, edu, none");
	add_fails(cfg, "root-port,driver=vfio-pci", "root-port takes pcieport, none");
	add_fails(cfg, "edu,bus=3", "edu has no key bus");
	add_fails(cfg, "root-port,bus=0", "bus=0 is not a number in [1, 255]");
	add_fails(cfg, "root-port,addr=0000:01:00.0", "a root port sits on bus 00");
	add_fails(cfg, "edu,dma_mask=1;2", "semicolon");
	add_fails(cfg, "edu,dma_mask=1\n", "control character");
}

static void test_bad_addresses(void **state)
{
	struct machine_config *cfg = *state;

	add_fails(cfg, "edu,addr=01:00.0", "write it as 0000:05:00.0");
	add_fails(cfg, "edu,addr=0000:01:20.0", "is no PCI address");
	add_fails(cfg, "edu,addr=0000:01:00.8", "is no PCI address");
	add_fails(cfg, "edu,addr=0000:0g:00.0", "is no PCI address");
	add_fails(cfg, "edu,addr=0000:01:00.00", "is no PCI address");
	add_fails(cfg, "edu,addr=0001:01:00.0", "domain 0000 only");
	add_fails(cfg, "edu,addr=0000:00:00.0", "the host bridge's");
	add_ok(cfg, "edu,addr=0000:AB:00.0");
	add_fails(cfg, "edu,addr=0000:ab:00.0", "addr=0000:ab:00.0 is given to two devices");
}

static void expect(const struct machine_config *cfg, unsigned i, int devid, int group, int bus)
{
	assert_true(i < cfg->nr_devices);
	assert_int_equal(cfg->devices[i].devid, devid);
	assert_int_equal(cfg->devices[i].group, group);
	assert_int_equal(cfg->devices[i].bus, bus);
}

static void test_complete(void **state)
{
	struct machine_config *cfg = *state;

	add_ok(cfg, "edu");
	add_ok(cfg, "nvme");
	add_ok(cfg, "edu,addr=0000:00:10.0");
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(cfg->nr_devices, 5);
	expect(cfg, 0, 0x0100, 0, -1);
	expect(cfg, 1, 0x0200, 1, -1);
	expect(cfg, 2, 0x0080, 2, -1);
	expect(cfg, 3, 0x0008, 3, 1);
	expect(cfg, 4, 0x0010, 4, 2);
	assert_ptr_equal(cfg->devices[3].model, &root_port_model);
	assert_int_equal(machine_config_complete(cfg), 0); /* nothing is open any more */
	assert_int_equal(cfg->nr_devices, 5);
}

static void test_complete_around_what_is_given(void **state)
{
	struct machine_config *cfg = *state;

	add_ok(cfg, "edu,group=1");
	add_ok(cfg, "edu,addr=0000:01:00.0,group=0");
	add_ok(cfg, "edu,addr=0000:01:01.0");
	add_ok(cfg, "edu,addr=0000:00:01.0"); /* where the port of bus 1 would be */
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(cfg->nr_devices, 6);
	expect(cfg, 0, 0x0200, 1, -1);
	expect(cfg, 1, 0x0100, 0, -1);
	expect(cfg, 2, 0x0108, 2, -1);
	expect(cfg, 3, 0x0008, 3, -1);
	expect(cfg, 4, 0x0010, 4, 2); /* of the device that came first: bus 2, slot 2 */
	expect(cfg, 5, 0x0018, 5, 1); /* shared by two; slots 1 and 2 are taken */
}

static void test_complete_with_ports(void **state)
{
	struct machine_config *cfg = *state;

	add_ok(cfg, "root-port,bus=5,addr=0000:00:1c.0,group=9");
	add_ok(cfg, "edu,addr=0000:05:00.0,group=9");
	add_ok(cfg, "root-port");
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(cfg->nr_devices, 3);
	expect(cfg, 0, 0x00e0, 9, 5);
	expect(cfg, 1, 0x0500, 9, -1);
	expect(cfg, 2, 0x0008, 0, 1);
}

static void test_complete_fails(void **state)
{
	struct machine_config *cfg = *state;

	add_ok(cfg, "root-port,bus=5");
	add_ok(cfg, "root-port,bus=5");
	explain_begin();
	assert_int_equal(machine_config_complete(cfg), -EINVAL);
	assert_non_null(strstr(explain_take(), "bus=5 is given to two root ports"));
}

static void test_too_many(void **state)
{
	struct machine_config *cfg = *state;

	for (unsigned i = 0; i < MACHINE_MAX_DEVICES; i++)
		add_ok(cfg, "edu");
	add_fails(cfg, "edu", "at most 256 devices");
	explain_begin();
	assert_int_equal(machine_config_complete(cfg), -EINVAL);
	assert_non_null(strstr(explain_take(), "all 255 buses are taken"));
}

static void test_file(void **state)
{
	struct machine_config *cfg = *state;

	load_ok(cfg, "; a comment\n[machine]\niommu = amd\n\n"
		     "[device 0000:07:00.0]\nmodel = nvme ; inline\nsize=1G\nblock = 4096\n"
		     "[device]\nmodel=edu\n[device]\n\tmodel = edu\ngroup = 4");
	assert_int_equal(cfg->nr_devices, 3);
	assert_int_equal(cfg->devices[0].devid, 0x0700);
	assert_int_equal(cfg->devices[0].nr_options, 2);
	assert_string_equal(cfg->devices[0].options[0].value, "1G");
	assert_int_equal(cfg->devices[2].group, 4);
	load_ok(cfg, "");
	load_ok(cfg, "[machine]\n");
	assert_int_equal(cfg->nr_devices, 3);
}

static void test_bad_files(void **state)
{
	struct machine_config *cfg = *state;
	char line[400] = "[device]\nmodel = edu\ndma_mask = ";

	add_ok(cfg, "edu,addr=0000:03:00.0");
	load_fails(cfg, "\n[device]\nmodel = edu\nfoo = 1\n", 4, "edu has no key foo; it knows");
	load_fails(cfg, "[device]\nmodel = edu\n\n[device]\nmodel = what\n", 5, "no device model \"what\"");
	load_fails(cfg, "[device 0000:03:00.0]\nmodel = edu\n", 1, "given to two devices");
	load_fails(cfg, "[device x]\n\nmodel = edu\n", 1, "addr=x is no PCI address");
	load_fails(cfg, "[device]\ngroup = 1\n", 1, "needs a model");
	load_fails(cfg, "[device]\n[device]\nmodel = edu\n", 1, "needs a model");
	load_fails(cfg, "[machine]\n\n[device]\n", 3, "needs a model");
	load_fails(cfg, "[device]\nmodel = edu\nnonsense\n", 3, "neither a [section] nor key = value");
	load_fails(cfg, "[device\nmodel = edu\n", 1, "neither a [section]");
	load_fails(cfg, "[devices]\nmodel = edu\n", 2, "there are [machine], [iommu N] and [device ADDRESS]");
	load_fails(cfg, "model = edu\n", 1, "before any section");
	load_fails(cfg, "[machine]\niommu = smmu\n", 2, "iommu=smmu: there are amd, intel, virtio and none");
	load_fails(cfg, "[machine]\niommu = intel\naw-bits = 40\n", 3, "39, 48 or 57 bits");
	load_fails(cfg, "[machine]\naw-bits = 48\niommu = intel\n", 2, "only iommu=intel has that choice");
	load_fails(cfg, "[machine]\niommu = amd\naw-bits = 48\n", 3, "only iommu=intel has that choice");
	load_fails(cfg, "[machine]\ncpus = 4\n", 2, "[machine] has no key cpus");
	load_fails(cfg, "[device]\nmodel = edu\nmodel = nvme\n", 3, "model is given twice");
	memset(line + strlen(line), '1', 300);
	load_fails(cfg, line, 3, "the line is longer than");
}

static void iommu_fails(struct machine_config *cfg, const char *text, const char *why)
{
	struct iommu_config before = cfg->iommus[0];

	explain_begin();
	cfg->nr_said = 0;
	assert_int_equal(machine_config_set_iommu(cfg, text), -EINVAL);
	assert_non_null(strstr(explain_take(), why));
	assert_memory_equal(&cfg->iommus[0], &before, sizeof(before));
}

/* As if it were the first time. */
static int set_iommu(struct machine_config *cfg, const char *text)
{
	cfg->nr_said = 0;
	return machine_config_set_iommu(cfg, text);
}

static void test_iommu(void **state)
{
	struct machine_config *cfg = *state;

	assert_int_equal(cfg->iommus[0].kind, MACHINE_IOMMU_AMD);
	assert_int_equal(set_iommu(cfg, "intel"), 0);
	assert_int_equal(cfg->iommus[0].kind, MACHINE_IOMMU_INTEL);
	assert_int_equal(cfg->iommus[0].aw_bits, 48);
	assert_int_equal(set_iommu(cfg, "intel,aw-bits=57"), 0);
	assert_int_equal(cfg->iommus[0].aw_bits, 57);
	assert_int_equal(set_iommu(cfg, "virtio"), 0);
	assert_int_equal(cfg->iommus[0].kind, MACHINE_IOMMU_VIRTIO);
	iommu_fails(cfg, "virtio,features=full", "translates, and that is all");
	iommu_fails(cfg, "virtio,aw-bits=48", "only iommu=intel has that choice");
	assert_int_equal(set_iommu(cfg, "none"), 0);
	assert_int_equal(cfg->iommus[0].kind, MACHINE_IOMMU_NONE);
	iommu_fails(cfg, "none,aw-bits=48", "only iommu=intel has that choice");
	iommu_fails(cfg, "", "there are amd, intel, virtio and none");
	iommu_fails(cfg, "intelligent", "there are amd, intel, virtio and none");
	iommu_fails(cfg, "a-name-that-is-longer-than-any", "there are amd, intel, virtio and none");
	iommu_fails(cfg, "intel,", "is not key=value");
	iommu_fails(cfg, "intel,bits=39", "no key of an IOMMU");
	iommu_fails(cfg, "intel,aw-bits=", "39, 48 or 57 bits");
	iommu_fails(cfg, "intel,aw-bits=64", "39, 48 or 57 bits");
	iommu_fails(cfg, "amd,aw-bits=48", "only iommu=intel has that choice");
	load_ok(cfg, "[machine]\niommu = intel\naw-bits = 39\n");
	assert_int_equal(cfg->iommus[0].aw_bits, 39);
	load_fails(cfg, "[machine]\niommu = amd\n[device]\nmodel = what\n", 4, "no device model");
	assert_int_equal(cfg->iommus[0].kind, MACHINE_IOMMU_INTEL); /* a bad file changes nothing */
	load_ok(cfg, "[machine]\niommu = amd\n");
	assert_int_equal(cfg->iommus[0].kind, MACHINE_IOMMU_AMD);
	assert_int_equal(cfg->iommus[0].features, IOMMU_BASIC);
	assert_int_equal(set_iommu(cfg, "intel,features=full,aw-bits=57"), 0);
	assert_int_equal(cfg->iommus[0].features, IOMMU_FULL);
	assert_int_equal(cfg->iommus[0].aw_bits, 57);
	iommu_fails(cfg, "amd,features=some", "there are basic and full");
	iommu_fails(cfg, "none,features=full", "there is no IOMMU");
}

static void completes_not(struct machine_config *cfg, const char *why)
{
	explain_begin();
	assert_int_equal(machine_config_complete(cfg), -EINVAL);
	assert_non_null(strstr(explain_take(), why));
}

static void test_iommus(void **state)
{
	struct machine_config *cfg = *state;

	load_ok(cfg, "[machine]\niommu = amd\n[iommu 1]\nkind = intel\naw-bits = 39\nfeatures = full\n"
		"[device 0000:01:00.0]\nmodel = edu\n[device 0000:02:00.0]\nmodel = edu\niommu = 1\n");
	assert_int_equal(cfg->nr_iommus, 2);
	assert_int_equal(cfg->iommus[1].kind, MACHINE_IOMMU_INTEL);
	assert_int_equal(cfg->iommus[1].aw_bits, 39);
	assert_int_equal(cfg->iommus[1].features, IOMMU_FULL);
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(machine_config_find(cfg, 0x100)->iommu, 0);
	assert_int_equal(machine_config_find(cfg, 0x200)->iommu, 1);
	assert_int_equal(machine_config_find(cfg, 0x10)->iommu, 1); /* the port of bus 2 */
	/* the command line decides, unit by unit */
	assert_int_equal(machine_config_set_iommu(cfg, "intel"), 0);
	assert_int_equal(machine_config_set_iommu(cfg, "amd"), 0);
	assert_int_equal(machine_config_set_iommu(cfg, "amd,features=full"), 0);
	assert_int_equal(cfg->nr_iommus, 3);
	assert_int_equal(cfg->iommus[0].kind, MACHINE_IOMMU_INTEL);
	assert_int_equal(cfg->iommus[1].kind, MACHINE_IOMMU_AMD);
	assert_int_equal(cfg->iommus[2].features, IOMMU_FULL);
	for (unsigned i = 3; i < MACHINE_MAX_IOMMUS; i++)
		assert_int_equal(machine_config_set_iommu(cfg, "amd"), 0);
	assert_int_equal(machine_config_set_iommu(cfg, "amd"), -EINVAL);
}

static void test_iommus_refused(void **state)
{
	struct machine_config *cfg = *state;

	load_fails(cfg, "[iommu 2]\nkind = amd\n", 2, "the next one is 1");
	load_fails(cfg, "[iommu 9]\nkind = amd\n", 2, "not a number in [0, 7]");
	load_fails(cfg, "[iommu 1]\nkind = amd\naw-bits = 39\n", 3, "only iommu=intel");
	load_fails(cfg, "[iommu 1]\niommu = amd\n", 2, "no key of an IOMMU");
	assert_int_equal(cfg->nr_iommus, 1); /* bad files change nothing */
	load_fails(cfg, "[device]\nmodel = edu\niommu = 8\n", 3, "not a number in [0, 7]");
	assert_int_equal(machine_config_add(cfg, "edu,iommu=1,group=5"), 0);
	completes_not(cfg, "iommu=1: the machine has 1 unit");
	load_ok(cfg, "[iommu 1]\nkind = amd\n[device]\nmodel = edu\ngroup = 5\n");
	completes_not(cfg, "group 5 has devices behind IOMMU 1 and 0");
}

static void test_none_stands_alone(void **state)
{
	struct machine_config *cfg = *state;

	load_ok(cfg, "[machine]\niommu = none\n[iommu 1]\nkind = amd\n");
	completes_not(cfg, "iommu none is for a machine without any");
}

static void test_no_file(void **state)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/absent.ini", dir);
	explain_begin();
	assert_int_equal(machine_config_load(*state, path), -ENOENT);
	assert_non_null(strstr(explain_take(), "absent.ini: No such file"));
	assert_true(machine_config_load(*state, dir) < 0);
}

static void test_save_and_load(void **state)
{
	struct machine_config *cfg = *state, *again = machine_config_new();
	char path[160];

	add_ok(cfg, "nvme,size=64M,driver=nvme");
	add_ok(cfg, "edu,delay_us=5,group=8");
	add_ok(cfg, "edu,driver=none");
	add_ok(cfg, "nvme,model=Fast One,serial=7"); /* a key of the model with a name of ours */
	assert_int_equal(machine_config_complete(cfg), 0);
	assert_int_equal(machine_config_save(cfg, dir), 0);
	snprintf(path, sizeof(path), "%s/machine.ini", dir);
	assert_int_equal(machine_config_load(again, path), 0);
	assert_int_equal(again->nr_devices, cfg->nr_devices);
	for (unsigned i = 0; i < cfg->nr_devices; i++) {
		const struct device_config *a = &cfg->devices[i], *b = &again->devices[i];

		expect(again, i, a->devid, a->group, a->bus);
		assert_ptr_equal(a->model, b->model);
		assert_string_equal(device_config_driver(a), device_config_driver(b));
		assert_int_equal(a->nr_options, b->nr_options);
		for (unsigned k = 0; k < a->nr_options; k++)
			assert_string_equal(a->options[k].value, b->options[k].value);
	}
	machine_config_free(again);
	explain_begin();
	assert_int_equal(machine_config_save(cfg, "/nonexistent"), -ENOENT);
	assert_non_null(strstr(explain_take(), "/nonexistent/machine.ini"));
}

/* A key of a model that has the name of one of the machine's. */
static void test_key_of_the_same_name(void **state)
{
	struct device_config *dev = add_ok(*state, "nvme,model=Fast One");

	assert_int_equal(dev->nr_options, 1);
	assert_string_equal(dev->options[0].key, "model");
	assert_string_equal(dev->options[0].value, "Fast One");
	dev = add_ok(*state, "nvme,nvme.model=X,nvme.size=1G");
	assert_int_equal(dev->nr_options, 2);
	add_fails(*state, "nvme,model=X,nvme.model=Y", "nvme.model is given twice");
	add_fails(*state, "edu,model=X", "edu has no key model; it knows");
	add_fails(*state, "edu,nvme.size=1G", "edu has no key nvme.size");
	load_ok(*state, "[device]\nmodel = nvme\nnvme.model = Fast One\n");
	load_fails(*state, "[device]\nmodel = nvme\nmodel = Fast One\n", 3, "model is given twice");
}

/* Text made of what such files are made of, in any order: taken whole or refused with a reason. */
static void test_random_files(void **state)
{
	static const char *const bits[] = {
		"[device]",
		"[device 0000:01:00.0]",
		"[machine]",
		"[",
		"]",
		"\n",
		"\n",
		"\n",
		"model = ",
		"edu",
		"nvme",
		"group=",
		"1",
		"65536",
		";",
		"#",
		" ",
		"\t",
		"=",
		":",
		"driver=none",
		"iommu=amd",
		"iommu=intel",
		"aw-bits=57",
		"root-port",
		"bus=2",
		"addr=0000:00:1f.0",
		"\xff",
		"\r",
		"dma_mask=1",
		",",
	};
	struct machine_config *cfg = *state;
	unsigned taken = 0, seed = 12345;

	for (int round = 0; round < 600; round++) {
		unsigned before = cfg->nr_devices;
		char text[1024] = "";
		int err;

		for (int n = 0; n < 12; n++) {
			seed = seed * 1103515245 + 12345;
			strcat(text, bits[(seed >> 16) % ARRAY_SIZE(bits)]);
		}
		explain_begin();
		err = machine_config_load(cfg, write_text(text));
		assert_true(err == 0 || err == -EINVAL);
		if (err) {
			assert_int_equal(cfg->nr_devices, before);
			assert_non_null(explain_take());
		}
		taken += !err;
		if (machine_config_add(cfg, text))
			assert_true(cfg->nr_devices >= before);
		if (cfg->nr_devices > MACHINE_MAX_DEVICES / 2) {
			machine_config_free(cfg);
			*state = cfg = machine_config_new();
		}
	}
	assert_true(taken > 0);
}

static int make_dir(void **state) { return mkdtemp(dir) ? 0 : -1; }

static int remove_dir(void **state)
{
	machine_destroy(dir);
	return access(dir, F_OK) ? 0 : -1;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_device_text),
		T(test_bad_device_text),
		T(test_bad_addresses),
		T(test_complete),
		T(test_complete_around_what_is_given),
		T(test_complete_with_ports),
		T(test_complete_fails),
		T(test_too_many),
		T(test_file),
		T(test_bad_files),
		T(test_iommu),
		T(test_iommus),
		T(test_iommus_refused),
		T(test_none_stands_alone),
		T(test_no_file),
		T(test_save_and_load),
		T(test_random_files),
		T(test_key_of_the_same_name),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
