/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - the bytes of one session of saving or resuming, as a file.
 *
 * A stream that is read has two pieces: the head, there from the start, and the state, once the device
 * has stopped.  A piece never changes, so it is copied to the program without a lock (the program's
 * buffer may be a BAR).  Between the two a reader in PRE_COPY finds a passing end: ENOMSG.  A stream that
 * is written gathers bytes until the device leaves RESUMING; what cannot be for this device is refused
 * as soon as it shows.
 *
 * The descriptor is an eventfd, whose count says whether there is something to read, so that poll()
 * needs no help.  When the session is over (the state left, a reset, a close) the file stays as long as
 * the program wants, and answers ENODEV.
 *
 * Source: linux/vfio.h (VFIO_MIG_GET_PRECOPY_INFO); errors as Linux 7.2's sample device gives them.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/pci/soft/soft.h"

#define BOUNCE_BYTES 65536u

struct piece { u8 *buf; size_t len; };

struct soft_stream {
	struct soft_device *soft; /* until ended */
	struct file *file;	  /* immutable; no reference: it is ours */
	struct mutex lock;	  /* LOCK_VFIO_MIG_STREAM: all below */
	bool ended;
	bool whole; /* read: the last piece is there */
	struct piece pieces[2];
	size_t pos; /* read: the next byte, over all pieces */
	u8 *in;	    /* written */
	size_t in_len, in_room;
};

/* ---- may it be read?  The eventfd's count tells poll(). ---- */

static void set_readable(struct soft_stream *stream, bool readable)
{
	u64 count = 1;

	if (stream->file->backing_fd < 0)
		return;
	/* It does not block: the count is 0 or small, and reading makes it 0. */
	if (readable)
		sys_write(stream->file->backing_fd, &count, sizeof(count));
	else
		sys_read(stream->file->backing_fd, &count, sizeof(count));
}

static size_t total(const struct soft_stream *stream)
{
	return stream->pieces[0].len + stream->pieces[1].len;
}

/* ---- reading ---- */

/* Take the next bytes for a reader, within one piece.  Return: how many; 0 at the end; -errno. */
static ssize_t claim(struct soft_stream *stream, size_t len, const u8 **ret)
{
	const struct piece *piece = &stream->pieces[stream->pos >= stream->pieces[0].len];
	size_t at = piece == &stream->pieces[0] ? stream->pos : stream->pos - stream->pieces[0].len;

	if (stream->ended)
		return fail(-ENODEV, "the session of this migration stream is over");
	if (!len)
		return 0;
	len = min(len, piece->len - at);
	if (!len && !stream->whole)
		return fail(-ENOMSG, "nothing to read for now: the rest comes in STOP_COPY");
	*ret = piece->buf + at;
	stream->pos += len;
	if (stream->pos == total(stream) && !stream->whole)
		set_readable(stream, false);
	return (ssize_t)len;
}

/* The program's buffer was bad: the bytes are there for another try, unless a second reader was faster. */
static void unclaim(struct soft_stream *stream, size_t len, size_t pos)
{
	mutex_lock(&stream->lock);
	if (stream->pos == pos + len) {
		stream->pos = pos;
		set_readable(stream, true);
	}
	mutex_unlock(&stream->lock);
}

static ssize_t read_some(struct soft_stream *stream, char __user *buf, size_t len)
{
	const u8 *from = NULL;
	size_t pos;
	ssize_t n;

	mutex_lock(&stream->lock);
	pos = stream->pos;
	n = claim(stream, len, &from);
	mutex_unlock(&stream->lock);
	if (n > 0 && copy_to_user(buf, from, (size_t)n)) {
		unclaim(stream, (size_t)n, pos);
		return fail(-EFAULT, "%zd bytes of the stream cannot be written to %p", n, (void *)buf);
	}
	return n;
}

static ssize_t stream_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	size_t done = 0;
	ssize_t n;

	(void)pos;
	do {
		n = read_some(file->private_data, user_at(buf, done), len - done);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < len);
	return done ? (ssize_t)done : n;
}

static long fill_precopy_info(struct soft_stream *stream, struct vfio_precopy_info *info)
{
	long ret = 0;

	mutex_lock(&stream->lock);
	info->initial_bytes = total(stream) - stream->pos;
	info->dirty_bytes = 0; /* what is in the head does not change */
	if (stream->ended || stream->whole)
		ret = fail(-EINVAL, "VFIO_MIG_GET_PRECOPY_INFO is for the states PRE_COPY and PRE_COPY_P2P");
	mutex_unlock(&stream->lock);
	return ret;
}

static long stream_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct soft_stream *stream = file->private_data;
	struct vfio_precopy_info info;
	bool v2;
	long ret;

	mutex_lock(&stream->lock);
	v2 = !stream->ended && atomic_load(&stream->soft->core.vdev.precopy_info_v2);
	mutex_unlock(&stream->lock);
	ret = vfio_check_precopy_ioctl(v2, cmd, arg, &info);
	if (!ret)
		ret = fill_precopy_info(stream, &info);
	if (ret)
		return ret;
	if (copy_to_user((void __user *)arg, &info, sizeof(info)))
		return fail(-EFAULT, "struct vfio_precopy_info at %p cannot be written", (void *)arg);
	return 0;
}

/* ---- writing ---- */

static int append(struct soft_stream *stream, const u8 *buf, size_t len)
{
	size_t room = stream->in_room ? stream->in_room : BOUNCE_BYTES;
	u8 *in;

	while (room - stream->in_len < len)
		room *= 2;
	in = room == stream->in_room ? stream->in : krealloc(stream->in, room);
	if (!in)
		return fail(-ENOMEM, "no memory for %zu bytes of the stream", stream->in_len + len);
	stream->in = in;
	stream->in_room = room;
	memcpy(in + stream->in_len, buf, len);
	stream->in_len += len;
	return 0;
}

static int write_locked(struct soft_stream *stream, const u8 *buf, size_t len)
{
	int ret;

	if (stream->ended)
		return fail(-ENODEV, "the session of this migration stream is over");
	ret = append(stream, buf, len);
	if (ret)
		return ret;
	ret = soft_hw_ops(stream->soft)->load_check(stream->soft->core.pdev->hw, stream->in, stream->in_len);
	if (ret)
		stream->in_len -= len;
	return ret;
}

static ssize_t write_some(struct soft_stream *stream, const char __user *buf, size_t len, u8 *bounce)
{
	int ret;

	len = min(len, (size_t)BOUNCE_BYTES);
	if (copy_from_user(bounce, buf, len))
		return fail(-EFAULT, "%zu bytes of the stream at %p cannot be read", len, (const void *)buf);
	mutex_lock(&stream->lock);
	ret = write_locked(stream, bounce, len);
	mutex_unlock(&stream->lock);
	return ret ? ret : (ssize_t)len;
}

static ssize_t stream_write(struct file *file, const char __user *buf, size_t len, u64 *pos)
{
	u8 *bounce = kmalloc(BOUNCE_BYTES);
	size_t done = 0;
	ssize_t n;

	(void)pos;
	if (!bounce)
		return fail(-ENOMEM, "no memory to copy the stream with");
	do {
		n = write_some(file->private_data, user_at(buf, done), len - done, bounce);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < len);
	kfree(bounce);
	return done ? (ssize_t)done : n;
}

/* ---- life ---- */

static void stream_free(struct soft_stream *stream)
{
	kfree(stream->pieces[0].buf);
	kfree(stream->pieces[1].buf);
	kfree(stream->in);
	mutex_destroy(&stream->lock);
	kfree(stream);
}

static void stream_release(struct file *file)
{
	stream_free(file->private_data);
}

static const struct file_operations saving_fops = {
	.kind = FILE_OTHER,
	.stream = true,
	.release = stream_release,
	.read = stream_read,
	.ioctl = stream_ioctl,
};

static const struct file_operations resuming_fops = {
	.kind = FILE_OTHER,
	.stream = true,
	.release = stream_release,
	.write = stream_write,
};

/*
 * Without a descriptor for it (-1) the stream is as good, but for poll(), which then finds it ready: the
 * program has no descriptor left either, and will be told so.
 */
static int make_event(void)
{
	int fd = sys_eventfd2(0, EFD_CLOEXEC | EFD_NONBLOCK), hidden;

	if (fd < 0)
		return -1;
	hidden = fd_private(fd);
	if (hidden >= 0)
		return hidden;
	sys_close(fd);
	return -1;
}

static struct file *make_file(struct soft_stream *stream, bool saving)
{
	struct file *file = file_alloc(saving ? &saving_fops : &resuming_fops, stream, "anon_inode:soft_vfio_pci_mig",
				       saving ? O_RDONLY : O_WRONLY);

	if (!file)
		return ERR_PTR(fail(-ENOMEM, "no memory for a migration stream"));
	file->backing_fd = make_event();
	return file;
}

struct file *soft_stream_new(struct soft_device *soft, bool saving, struct soft_stream **ret)
{
	struct soft_stream *stream = kzalloc(sizeof(*stream));
	struct file *file;

	if (!stream)
		return ERR_PTR(fail(-ENOMEM, "no memory for a migration stream"));
	mutex_init(&stream->lock, LOCK_VFIO_MIG_STREAM);
	stream->soft = soft;
	file = make_file(stream, saving);
	if (IS_ERR(file)) {
		stream_free(stream);
		return file;
	}
	stream->file = file;
	fget_file(file); /* the device's */
	*ret = stream;
	return file;
}

void soft_stream_add(struct soft_stream *stream, void *buf, size_t len, bool last)
{
	mutex_lock(&stream->lock);
	stream->pieces[stream->pieces[0].buf != NULL] = (struct piece){ buf, len };
	stream->whole = last;
	set_readable(stream, true);
	mutex_unlock(&stream->lock);
}

int soft_stream_load(struct soft_stream *stream)
{
	int ret;

	mutex_lock(&stream->lock);
	ret = soft_hw_ops(stream->soft)->load_state(stream->soft->core.pdev->hw, stream->in, stream->in_len);
	mutex_unlock(&stream->lock);
	return ret;
}

void soft_stream_end(struct soft_stream *stream)
{
	mutex_lock(&stream->lock);
	stream->ended = true;
	set_readable(stream, true); /* poll() shall not wait for what never comes */
	mutex_unlock(&stream->lock);
	fput(stream->file);
}
