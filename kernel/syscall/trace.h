/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.h - between syscall.c, which carries out calls, and trace.c, which shows them. */
#ifndef KERNEL_SYSCALL_TRACE_H
#define KERNEL_SYSCALL_TRACE_H

#include "kernel/fs/file.h"
#include "kernel/lib/types.h"

/* Text under construction; what does not fit is cut, and the line says so. */
struct trace_line {
	size_t len;
	bool numbered; /* as the file */
	char text[4000];
};

void line_add(struct trace_line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** trace_begin - start @line with "name(7</dev/vfio/vfio>" */
void trace_begin(struct trace_line *line, const char *name, int fd, const struct file *file);
/** trace_end - add ") = ret ERRNO (text)" and print it */
void trace_end(struct trace_line *line, s64 ret);

/** trace_opened - the same for an open() that has a file and will have a number when @file is installed */
void trace_opened(struct trace_line *line, struct file *file);

/* One ioctl: what it was called with, kept to see what changed. */
struct trace_ioctl {
	const struct trace_call *call; /* NULL: unknown code */
	unsigned int cmd;
	unsigned long arg;
	size_t have;		/* bytes of @in that could be read */
	u8 in[128];
};

/** trace_ioctl_before - add the code and what goes in; fills @state for the other half */
void trace_ioctl_before(struct trace_line *line, struct trace_ioctl *state, const struct file *file,
			unsigned int cmd, unsigned long arg);
/** trace_ioctl_after - add what came out */
void trace_ioctl_after(struct trace_line *line, const struct trace_ioctl *state, long ret);
/** trace_ioctl_name - the name of a code on that kind of file; a code in hex if it has none */
const char *trace_ioctl_name(enum file_kind kind, unsigned int cmd, char *buf, size_t size);
/** trace_data - add "..." with the first bytes of a buffer of the program */
void trace_data(struct trace_line *line, const void __user *buf, size_t len);
/** trace_prot, trace_map_flags, trace_open_flags - add them by name */
void trace_prot(struct trace_line *line, int prot);
void trace_map_flags(struct trace_line *line, int flags);
void trace_open_flags(struct trace_line *line, unsigned flags);

/* ---- trace_table.h and the tables: what the ioctls look like ---- */

struct trace_name {
	u64 value;
	const char *name; /* NULL ends a list */
};

enum trace_format { TRACE_DEC, TRACE_SIGNED, TRACE_HEX, TRACE_FLAGS, TRACE_ENUM, TRACE_INDEX }; /* INDEX: ENUM for PCI */
enum trace_dir { TRACE_IN = 1, TRACE_OUT = 2, TRACE_INOUT = 3 };

struct trace_field {
	const char *name; /* NULL ends a list */
	u16 off;
	u8 size, format, dir;
	const struct trace_name *names;
};

enum trace_arg { TRACE_NO_ARG, TRACE_VALUE, TRACE_INT_PTR, TRACE_STRING, TRACE_STRUCT };

struct trace_call {
	unsigned int cmd;
	unsigned kinds; /* BIT(file_kind) of those that know it */
	const char *name;
	enum trace_arg arg;
	u16 size; /* of the struct: what of it is shown is read, at most what its first word says */
	const struct trace_field *fields;
	const struct trace_name *names; /* of a TRACE_VALUE */
	/**
	 * tail - show what follows the fixed fields: lists, capability chains
	 * @now: the struct as it is; @out: after the call, and it succeeded
	 */
	void (*tail)(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out);
};

/** trace_call_find - the description of a code on a kind of file; NULL */
const struct trace_call *trace_call_find(enum file_kind kind, unsigned int cmd);

/* For tails (trace.c). */
void trace_flags(struct trace_line *line, u64 value, const struct trace_name *names);
const char *trace_name_of(u64 value, const struct trace_name *names);
void trace_fields(struct trace_line *line, const struct trace_field *fields, const u8 *data, size_t have);
/** line_sep - add ", " unless the line ends in an opening bracket */
void line_sep(struct trace_line *line);

#endif
