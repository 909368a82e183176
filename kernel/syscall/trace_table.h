/* SPDX-License-Identifier: BSD-3-Clause */
/* trace_table.h - the words in which trace_vfio.c and trace_iommufd.c describe ioctls. */
#ifndef KERNEL_SYSCALL_TRACE_TABLE_H
#define KERNEL_SYSCALL_TRACE_TABLE_H

#include "kernel/syscall/trace.h"

#define TRACE_LIST_MAX 32 /* longest list shown */

typedef unsigned long long ull;

/* A field of a uAPI struct, which gives offset and size; N has names for its flags or values. */
#define N(struct_, field_, format_, dir_, names_) { #field_, offsetof(struct struct_, field_),		\
	sizeof(((struct struct_ *)0)->field_), TRACE_##format_, TRACE_##dir_, names_ }
#define F(struct_, field_, format_, dir_) N(struct_, field_, format_, dir_, NULL)
#define END { .name = NULL }

/* The kinds of file that know a call. */
#define CONTAINER BIT(FILE_VFIO_CONTAINER)
#define COMPAT (BIT(FILE_VFIO_CONTAINER) | BIT(FILE_IOMMUFD))
#define GROUP BIT(FILE_VFIO_GROUP)
#define DEVICE BIT(FILE_VFIO_DEVICE)
#define OTHER BIT(FILE_OTHER)
#define IOMMUFD BIT(FILE_IOMMUFD)
#define KVM BIT(FILE_KVM_DEVICE)
#define VM BIT(FILE_KVM_VM)

/* Calls by what their argument is. */
#define NONE(kinds_, cmd_) { cmd_, kinds_, #cmd_, TRACE_NO_ARG }
#define VALUE(kinds_, cmd_, names_) { cmd_, kinds_, #cmd_, TRACE_VALUE, .names = names_ }
#define INT_PTR(kinds_, cmd_) { cmd_, kinds_, #cmd_, TRACE_INT_PTR }
#define STRING(kinds_, cmd_) { cmd_, kinds_, #cmd_, TRACE_STRING }
#define STRUCT(kinds_, cmd_, struct_, ...) \
	{ cmd_, kinds_, #cmd_, TRACE_STRUCT, sizeof(struct struct_), __VA_ARGS__ }

extern const struct trace_call trace_vfio_calls[];
extern const size_t trace_vfio_count;
/** trace_mock_tail - of iommufd's test ioctl (trace_mock.c). */
void trace_mock_tail(struct trace_line *line, const struct trace_ioctl *state, const u8 *now, bool out);
extern const struct trace_call trace_iommufd_calls[];
extern const size_t trace_iommufd_count;

#endif
