/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork.h - what a fork must not find half done.
 *
 * The host copies the descriptors of a process first and its memory after that, and other threads go on meanwhile.  So a child's
 * memory may say of a number what became true after its descriptors were copied: that it is a file of ours, where the child has
 * none, and where it will soon have one of its own.  What belongs together on the host and in memory is therefore changed in
 * one piece, and a fork waits until nothing of the kind is on its way.
 *
 * Two locks, because a call that is carried out for another process may wait for any lock of the kernel, and a change is made
 * under some of them:
 *
 *	- a served call: takes the first, for all its time
 *	- a change: takes the second, shared; inside may come any lock, as no other change has to wait for it
 *	- a fork: takes both, in this order, and then no lock that anybody holds who begins a change: it looks at files and
 *	  mappings, which nobody takes away meanwhile, so that it never has a last reference and releases nothing
 */
#ifndef KERNEL_LIB_FORK_H
#define KERNEL_LIB_FORK_H

#include <stdbool.h>

/**
 * fork_change_begin - a number becomes a descriptor of ours, or an address a mapping, or stops to be one, until fork_change_end()
 * Any thread, also in a handler of signals, under any lock of the kernel; nests.  Short: what may take long comes before.
 * Return: for fork_change_end(): false in the thread that forks, between fork_begin() and fork_end().
 */
bool fork_change_begin(void);
void fork_change_end(bool begun);
/** FORK_CHANGE - to the end of this block. */
#define FORK_CHANGE __attribute__((cleanup(fork_change_ended), unused)) bool fork_change_ = fork_change_begin()
static inline void fork_change_ended(const bool *begun)
{
	fork_change_end(*begun);
}

/**
 * fork_serve_begin - a call of another process is carried out, until fork_serve_end(): what descriptors come and are made are
 *	not this process's, and a child that had one by chance would keep the file open.  Does not nest.
 */
void fork_serve_begin(void);
void fork_serve_end(void);

/**
 * fork_begin - a thread is about to fork; fork_end(), with what this returned, comes in parent and child
 * Waits for each kind at most two seconds: whoever is to take a descriptor may be stopped, or hostile.
 */
unsigned fork_begin(void);
void fork_end(unsigned held, bool in_child);

#endif
