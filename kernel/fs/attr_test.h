/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attr_test.h - what tests of the machine's tree share: attributes written and read as a program does it, links.
 * Paths are below kernfs_root().
 */
#ifndef KERNEL_FS_ATTR_TEST_H
#define KERNEL_FS_ATTR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

/* What write() returns, or open()'s errno. */
static inline ssize_t echo(const char *text, const char *path)
{
	struct file *file = kernfs_open_attr(path, O_WRONLY);
	u64 pos = 0;
	ssize_t ret;

	assert_non_null(file);
	if (IS_ERR(file))
		return PTR_ERR(file);
	explain_begin();
	ret = file->f_op->write(file, text, strlen(text), &pos);
	fput(file);
	return ret;
}

#define must_echo(text, path) assert_int_equal(echo(text, path), strlen(text))
#define must_fail(text, path, err) assert_int_equal(echo(text, path), err)

static inline void must_contain(const char *path, const char *text)
{
	char buf[8192];
	ssize_t len = kernfs_read(path, buf, sizeof(buf) - 1);

	assert_true(len >= 0);
	buf[len] = '\0';
	assert_string_equal(buf, text);
}

static inline void must_link(const char *path, const char *target)
{
	char full[256], buf[256] = "";

	snprintf(full, sizeof(full), "%s/%s", kernfs_root(), path);
	assert_true(readlink(full, buf, sizeof(buf) - 1) > 0);
	assert_string_equal(buf, target);
}

#endif
