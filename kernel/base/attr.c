/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attr.c - what attributes of all buses and devices have in common: how numbers and names are read,
 * and what a store does before and after its own work.
 *
 * Texts come from programs, so each parser takes all of the text or nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/base.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/explain.h"

/* The text must end at @end, or there with one newline. */
static bool at_end(const char *end)
{
	return *end == '\0' || (end[0] == '\n' && end[1] == '\0');
}

int parse_ulong(const char *buf, unsigned long *ret)
{
	const char *digits = buf + (*buf == '+');
	int saved_errno = errno;
	unsigned long val;
	char *end;
	bool range;

	if (!isdigit((unsigned char)*digits))
		return fail(-EINVAL, "\"%.32s\" is not a number", buf);
	errno = 0;
	val = strtoul(digits, &end, 0);
	range = errno == ERANGE;
	errno = saved_errno;
	if (!at_end(end))
		return fail(-EINVAL, "\"%.32s\" is not a number", buf);
	if (range)
		return fail(-ERANGE, "%.32s does not fit into 64 bits", buf);
	*ret = val;
	return 0;
}

int parse_long(const char *buf, long *ret)
{
	bool minus = *buf == '-';
	unsigned long val;
	int err = parse_ulong(buf + minus, &val);

	if (err)
		return err;
	if (val > (unsigned long)LONG_MAX)
		return fail(-ERANGE, "%.32s does not fit into 63 bits", buf);
	*ret = minus ? -(long)val : (long)val;
	return 0;
}

int parse_bool(const char *buf, bool *ret)
{
	switch (buf[0]) {
	case 'y': case 'Y': case 't': case 'T': case '1':
		*ret = true;
		return 0;
	case 'n': case 'N': case 'f': case 'F': case '0':
		*ret = false;
		return 0;
	case 'o': case 'O':
		if (buf[1] == 'n' || buf[1] == 'N' || buf[1] == 'f' || buf[1] == 'F') {
			*ret = buf[1] == 'n' || buf[1] == 'N';
			return 0;
		}
	}
	return fail(-EINVAL, "\"%.32s\" is neither yes nor no", buf);
}

int name_of(const char *text, char *ret, size_t size)
{
	size_t len = strlen(text);

	if (len && text[len - 1] == '\n')
		len--;
	if (!len || len >= size)
		return fail(-ENODEV, "\"%.32s\" is not the name of a device", text);
	memcpy(ret, text, len);
	ret[len] = '\0';
	return 0;
}

int device_store_begin(void)
{
	kernfs_lock();
	device_sync_locked();
	if (kernfs_active())
		return 0;
	kernfs_unlock();
	return fail(-ENODEV, "the attribute was removed while the write waited for the machine's lock");
}

int device_store_trigger(const char *buf)
{
	unsigned long val;
	int err;

	if (parse_ulong(buf, &val))
		return -EINVAL; /* also for what is too large */
	if (!val)
		return 0;
	err = device_store_begin();
	return err ? err : 1;
}

void device_store_end(bool changed)
{
	if (changed)
		device_changed();
	kernfs_unlock();
}

ssize_t device_uevent_store(void *priv, const char *buf, size_t len)
{
	static const char *const actions[] = {
		"add", "remove", "change", "move", "online", "offline", "bind", "unbind",
	};
	size_t n = strcspn(buf, " \n");

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (n == strlen(actions[i]) && !strncmp(buf, actions[i], n))
			return (ssize_t)len;
	return fail(-EINVAL, "\"%.32s\" is not an action such as add, remove or change", buf);
}
