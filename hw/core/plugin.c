/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plugin.c - models that come as shared objects.
 *
 * A plugin is somebody else's file, and loading it runs its code.  What can be found out before that is
 * found out before: that it is a whole ELF shared object for this machine, since the dynamic linker
 * does not survive one that was cut short.  What it exports is then looked at as data: each pointer must
 * lie in an object that is loaded, each string must end there, each op must be code.  So nonsense ends in
 * one clear line, and the only way left to crash is the plugin's own code.
 *
 * Its undefined symbols are ours (HW_API).  They are found in the global scope, where the front end
 * library and the command are; a library that was opened for its opener alone moves itself there first.
 *
 * A plugin is loaded once and stays, as built-in models do: devices point to its model.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_device.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/mutex.h"
#include "kernel/lib/sys.h"

#define MAX_PHDRS 128u
#define MAX_KEYS 64u
#define MAX_NAME 32u
#define MAX_TEXT 200u
/* What every plugin has, of whatever age: the model as HW_ABI 1 began. */
#define MODEL_BYTES_MIN (offsetof(struct hw_model, bus_master) + sizeof(void *))

#if defined(__x86_64__)
#define ELF_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define ELF_MACHINE EM_AARCH64
#endif

struct plugin {
	struct hw_model model; /* first: a model that is a plugin's is one */
	struct plugin *next;
	char *path;
};

static struct mutex plugins_lock = MUTEX_INITIALIZER(LOCK_PLUGIN);
static struct plugin *plugins; /* under plugins_lock; entries are immutable and stay */

static atomic_bool used;

bool hw_plugin_used(void) { return atomic_load(&used); }

/* ---- before it is loaded ---------------------------------------------------------------------- */

static int check_segments(int fd, const char *path, const Elf64_Ehdr *eh, u64 file_bytes)
{
	bool dynamic = false;
	Elf64_Phdr ph;

	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (sys_pread(fd, &ph, sizeof(ph), (off_t)(eh->e_phoff + i * sizeof(ph))) != sizeof(ph))
			return fail(-EINVAL, "%s is cut short: its program headers are not all there", path);
		dynamic |= ph.p_type == PT_DYNAMIC;
		if ((ph.p_type == PT_LOAD || ph.p_type == PT_DYNAMIC) &&
		    (ph.p_offset > file_bytes || ph.p_filesz > file_bytes - ph.p_offset))
			return fail(-EINVAL, "%s is cut short: segment %u ends at byte %llu of %llu", path, i,
				    (unsigned long long)(ph.p_offset + ph.p_filesz),
				    (unsigned long long)file_bytes);
	}
	return dynamic ? 0 : fail(-EINVAL, "%s is no shared object: it has no dynamic section", path);
}

static int check_elf(int fd, const char *path)
{
	Elf64_Ehdr eh;
	struct stat st;
	int err = sys_fstat(fd, &st);

	if (err)
		return fail(err, "%s: %s", path, strerror(-err));
	if (!S_ISREG(st.st_mode))
		return fail(-EINVAL, "%s is no regular file", path);
	if (sys_pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG))
		return fail(-EINVAL, "%s is no ELF file; a plugin is a shared object that says HW_PLUGIN() (softvfio/hw.h)",
			    path);
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != ELF_MACHINE)
		return fail(-EINVAL, "%s is for another kind of processor (ELF machine %u)", path, eh.e_machine);
	if (eh.e_type != ET_DYN || eh.e_phentsize != sizeof(Elf64_Phdr) || !eh.e_phnum || eh.e_phnum > MAX_PHDRS)
		return fail(-EINVAL, "%s is no shared object (ELF type %u); build it with -shared -fPIC", path,
			    eh.e_type);
	return check_segments(fd, path, &eh, (u64)st.st_size);
}

static int check_file(const char *path)
{
	int err, fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

	if (fd < 0)
		return fail(fd, "plugin %s: %s", path, strerror(-fd));
	err = check_elf(fd, path);
	sys_close(fd);
	return err;
}

/* ---- pointers into loaded objects ------------------------------------------------------------- */

struct place {
	u64 addr;
	u32 flags;	/* wanted: PF_R, PF_X */
	u64 left;	/* found: bytes from addr to the end of its segment; 0 none */
};

static int look_in_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *p = arg;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		u64 start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || (ph->p_flags & p->flags) != p->flags || p->addr < start ||
		    p->addr - start >= ph->p_memsz)
			continue;
		p->left = ph->p_memsz - (p->addr - start);
		return 1;
	}
	return 0;
}

static u64 bytes_at(const void *addr, u32 flags)
{
	struct place p = {.addr = (u64)(uintptr_t)addr, .flags = flags};

	dl_iterate_phdr(look_in_object, &p);
	return p.left;
}

/* A string of printable characters that ends within @max bytes, all inside a loaded object. */
static bool is_text(const char *text, size_t max)
{
	size_t room = min((size_t)bytes_at(text, PF_R), max), len = 0;

	while (len < room && text[len] >= ' ' && text[len] != 0x7f)
		len++;
	return len < room && !text[len];
}

/* It becomes part of machine files and of messages. */
static bool is_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return is_text(name, MAX_NAME) && *name && !name[strspn(name, allowed)];
}

static int check_keys(const char *path, const struct hw_key *keys)
{
	for (unsigned i = 0; keys; i++) {
		if (i == MAX_KEYS || bytes_at(&keys[i], PF_R) < sizeof(*keys))
			return fail(-EINVAL, "%s: its list of keys has no end: the last one needs a NULL name", path);
		if (!keys[i].name)
			break;
		if (!is_name(keys[i].name) || !is_text(keys[i].value, MAX_TEXT) || !is_text(keys[i].help, MAX_TEXT))
			return fail(-EINVAL, "%s: key %u has no proper name, value or help text", path, i);
	}
	return 0;
}

static int check_ops(const char *path, const struct hw_model *m)
{
	const struct {
		const char *name;
		const void *fn;
		bool required;
	} ops[] = {
		{"create", (const void *)m->create, true},
		{"destroy", (const void *)m->destroy, false},
		{"reset", (const void *)m->reset, false},
		{"bar_read", (const void *)m->bar_read, false},
		{"bar_write", (const void *)m->bar_write, false},
		{"config_written", (const void *)m->config_written, false},
		{"bus_master", (const void *)m->bus_master, false},
		{"quiesce", (const void *)m->quiesce, false},
		{"resume", (const void *)m->resume, false},
		{"save", (const void *)m->save, false},
		{"load", (const void *)m->load, false},
		{"identity", (const void *)m->identity, false},
		{"quiesce", (const void *)m->quiesce, false},
		{"resume", (const void *)m->resume, false},
		{"save", (const void *)m->save, false},
		{"load", (const void *)m->load, false},
		{"identity", (const void *)m->identity, false},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!ops[i].fn && ops[i].required)
			return fail(-EINVAL, "%s: its model has no %s()", path, ops[i].name);
		if (ops[i].fn && !bytes_at(ops[i].fn, PF_X))
			return fail(-EINVAL, "%s: %s() of its model points to %p, where no code is", path,
				    ops[i].name, ops[i].fn);
	}
	if (!!m->quiesce + !!m->resume + !!m->save + !!m->load != (m->save ? 4 : 0))
		return fail(-EINVAL, "%s: of quiesce, resume, save and load its model has some and not all", path);
	return 0;
}

/* A platform device's part: its bus name becomes part of device names. */
static int check_platform(const char *path, const struct hw_platform *platform)
{
	if (platform && (bytes_at(platform, PF_R) < sizeof(*platform) || !is_name(platform->bus_name)))
		return fail(-EINVAL, "%s: its model's platform has no proper bus_name", path);
	return 0;
}

/* *@ret: its model as this version knows it; what an older plugin does not have is NULL. */
static int check_model(const char *path, const struct hw_plugin *plugin, struct hw_model *ret)
{
	u64 room = bytes_at(plugin, PF_R);
	int err;

	if (room < sizeof(*plugin))
		return fail(-EINVAL, "%s: its symbol softvfio_plugin is no struct hw_plugin", path);
	if (plugin->abi != HW_ABI)
		return fail(-EINVAL, "%s was built for version %u of softvfio/hw.h, this is version %u: build it anew",
			    path, plugin->abi, HW_ABI);
	room = bytes_at(plugin->model, PF_R);
	if (plugin->model_bytes < MODEL_BYTES_MIN || plugin->model_bytes > room)
		return fail(-EINVAL, "%s: its softvfio_plugin points to no struct hw_model (%u bytes at %p)", path,
			    plugin->model_bytes, (const void *)plugin->model);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, plugin->model, min((size_t)plugin->model_bytes, sizeof(*ret)));
	if (!is_name(ret->name))
		return fail(-EINVAL, "%s: its model's name is not 1 to %u letters, digits, '-' and '_'", path,
			    MAX_NAME - 1);
	if (!is_text(ret->summary, MAX_TEXT))
		return fail(-EINVAL, "%s: its model has no summary of one line", path);
	err = check_keys(path, ret->keys);
	if (!err)
		err = check_platform(path, ret->platform);
	return err ? err : check_ops(path, ret);
}

/* ---- loading ---------------------------------------------------------------------------------- */

/* Our symbols into the global scope: a no-op for a preloaded library and for the command. */
static void show_our_symbols(void)
{
	Dl_info info;

	if (dladdr((const void *)&hw_pci_identify, &info) && info.dli_fname)
		dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

/* dlerror() names the file itself; what is missing is what counts. */
static int fail_load(const char *path)
{
	const char *why = dlerror(), *symbol = why ? strstr(why, "undefined symbol: ") : NULL;

	if (symbol)
		return fail(-EINVAL, "%s needs %s, which this version of softvfio does not have", path,
			    symbol + strlen("undefined symbol: "));
	return fail(-EINVAL, "%s cannot be loaded: %s", path, why ? why : "no reason given");
}

static int load(const char *path, struct plugin *plugin)
{
	const struct hw_plugin *exported;
	void *object;
	int err = check_file(path);

	if (err)
		return err;
	show_our_symbols();
	atomic_store(&used, true);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object)
		return fail_load(path);
	exported = dlsym(object, "softvfio_plugin");
	err = exported ? check_model(path, exported, &plugin->model)
		       : fail(-EINVAL, "%s has no symbol softvfio_plugin: say HW_PLUGIN(model) in it (softvfio/hw.h)", path);
	if (err)
		dlclose(object);
	return err;
}

static struct plugin *find_locked(const char *path)
{
	struct plugin *p = plugins;

	while (p && strcmp(p->path, path))
		p = p->next;
	return p;
}

static struct plugin *load_locked(const char *path)
{
	struct plugin *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (!p)
		return ERR_PTR(-ENOMEM);
	p->path = strdup(path);
	if (p->path)
		err = load(path, p);
	if (err) {
		free(p->path);
		free(p);
		return ERR_PTR(err);
	}
	p->next = plugins;
	plugins = p;
	return p;
}

const struct hw_model *hw_plugin_load(const char *path)
{
	struct plugin *p;

	mutex_lock(&plugins_lock);
	p = find_locked(path);
	if (!p)
		p = load_locked(path);
	mutex_unlock(&plugins_lock);
	return IS_ERR(p) ? ERR_PTR(PTR_ERR(p)) : &p->model;
}

const char *hw_plugin_path(const struct hw_model *model)
{
	const char *path = NULL;

	mutex_lock(&plugins_lock);
	for (struct plugin *p = plugins; p && !path; p = p->next)
		if (&p->model == model)
			path = p->path;
	mutex_unlock(&plugins_lock);
	return path;
}
