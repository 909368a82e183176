/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exec.c - exec() under all its names: another program takes over, and has what descriptors are not closed on exec.
 *
 * There they are found again (pass.c).  What devices have of this process's memory outlives it, if its kernel does.
 */
#include <stdarg.h>
#include <unistd.h>

#include "front/preload/front.h"
#include "kernel/syscall/proxy.h"

static void before_exec(void)
{
	int saved = errno;

	if (unlikely(front_kernel_elsewhere())) {
		front_share_all();
		proxy_end();
	}
	errno = saved;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	before_exec();
	return REAL(execve)(path, argv, envp);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	before_exec();
	return REAL(execvpe)(file, argv, envp);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	before_exec();
	return REAL(fexecve)(fd, argv, envp);
}

EXPORT int execveat(int dir_fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	before_exec();
	return REAL(execveat)(dir_fd, path, argv, envp, flags);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* The arguments of execl() and its kin as a vector, and the environment behind them in @ret_env if that is not NULL. */
#define VECTOR(argv_, first_, ret_env_)							\
	va_list ap_;									\
	size_t nr_ = 1;									\
	va_start(ap_, first_);								\
	while (va_arg(ap_, char *))							\
		nr_++;									\
	va_end(ap_);									\
	char *argv_[nr_ + 1];								\
	char *const **ret_ = (ret_env_);						\
	argv_[0] = (char *)(first_);							\
	va_start(ap_, first_);								\
	for (size_t i_ = 1; i_ <= nr_; i_++)						\
		argv_[i_] = va_arg(ap_, char *);					\
	if (ret_)									\
		*ret_ = va_arg(ap_, char *const *);					\
	va_end(ap_)

EXPORT int execl(const char *path, const char *arg, ...)
{
	VECTOR(argv, arg, NULL);
	return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	VECTOR(argv, arg, NULL);
	return execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	char *const *env;

	VECTOR(argv, arg, &env);
	return execve(path, argv, env);
}
