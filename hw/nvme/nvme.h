/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme.h - the controller, shared by the files of hw/nvme only.
 *
 *	nvme.c		the model: options, BAR accesses, create, destroy, reset
 *	ctrl.c		registers and the controller's states: enable, disable, shut down, fail
 *	queue.c		submission and completion queues, doorbells, the pin
 *	worker.c	threads for what is too long for the thread that rang the doorbell
 *	admin.c		admin commands: queues, abort, format; identify.c feature.c log.c event.c its answers
 *	io.c		the NVM command set
 *	data.c		where the client's data is: PRP entries and lists, SGLs
 *	namespace.c	media: mapped files
 *	nvram.c		what survives the program: counters, saved features, formats
 *	migrate.c	stopping, and the state as a stream of bytes
 *
 * The idea: a doorbell write runs the commands of its queue right there, on the thread that wrote, as
 * waking another thread costs more than most commands.  Whoever runs a submission queue holds its
 * token (nvme_sq.running); a second doorbell meanwhile only leaves word (again).  Long commands, and
 * what is left when a doorbell's byte budget is spent, go to the workers, token and all.
 *
 * Locks.  state_lock (LOCK_HW_MODEL) is held through a change of state, also while that waits for
 * commands to end, so no command takes it.  All others are leaves of rank LOCK_HW_MODEL_QUEUE: nothing
 * of ours is taken under them, and none is held while memory of the client is read or written.
 *
 * Peer to peer.  A command's data may lie in a BAR of this device, so bar_write can be entered from
 * within hw_dma_read().  nvme_dma_depth tells: then a doorbell only wakes a worker, and a register
 * write, which might have to wait for that very command, is dropped.
 */
#ifndef HW_NVME_NVME_H
#define HW_NVME_NVME_H

#include <bsd/sys/queue.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <softvfio/hw.h>

#include "hw/nvme/regs.h"
#include "kernel/lib/mutex.h"

#define NVME_BAR_BYTES 0x4000u
#define NVME_VECTORS 65u
#define NVME_MSIX_TABLE 0x2000u
#define NVME_MSIX_PBA 0x3000u
#define NVME_QUEUES_MAX 64u		/* pairs of I/O queues */
#define NVME_QIDS (NVME_QUEUES_MAX + 1) /* and the admin pair */
#define NVME_QUEUE_ENTRIES 2048u
#define NVME_AQ_ENTRIES_MAX 4096u /* what the fields of AQA can say */
#define NVME_NS_MAX 32u
#define NVME_AERS 4u	     /* asynchronous event requests outstanding */
#define NVME_ERRORS 64u	     /* entries of the error log */
#define NVME_WORKERS_MAX 16u
#define NVME_BATCH 32u	     /* commands fetched at once */
#define NVME_LBADS_MIN 9u
#define NVME_LBADS_MAX 12u
#define NVME_FIRMWARE "1.0     "
#define NVME_TEMPERATURE 323u	    /* kelvin; it never gets warmer */
#define NVME_TEMPERATURE_WARNING 343u
#define NVME_TEMPERATURE_CRITICAL 373u

#define NVME_INLINE_BYTES (256u << 10)	/* longer commands go to a worker */
#define NVME_POST_BYTES (128u << 10)	/* after that many, tell the host of what is done so far */
#define NVME_LATE_BYTES (16u << 10)	/* and so do those when the budget is spent */
#define NVME_DOORBELL_BYTES (1u << 20) /* when a doorbell has moved that much, a worker goes on */
#define NVME_WORKER_BYTES (4u << 20)	/* a worker's share of one queue, then others have a turn */
#define NVME_COMMAND_BYTES 512u		/* what a command counts besides its data */

#define NVME_SCRATCH_BYTES 8192u

struct nvme_ctrl;
struct nvme_sq;

/* ---- queues ---- */
struct nvme_cq {
	u16 id;		/* immutable */
	struct mutex lock;
	/* Set before live, constant while live. */
	u64 base;
	u32 size;
	u16 vector;
	bool interrupts;
	/* Guarded by lock. */
	bool live;
	bool phase;
	bool starved;	/* a submission queue waits for room */
	u32 head, tail; /* tail: next entry to be given out; entries before it may still be on their way */
	u32 reserved;	/* entries promised to commands under way */
	/* How many entries were written and taken; differs: the pin has reason to be asserted. */
	atomic_uint posted, acked;
	u32 sq_count; /* private to the admin queue's runner */
};

enum nvme_stop { NVME_RUNS, NVME_STOP_DELETE, NVME_STOP_RESET };

enum nvme_job_kind { NVME_JOB_SQ, NVME_JOB_CMD };

struct nvme_job {
	TAILQ_ENTRY(nvme_job) link; /* guarded by nvme_pool.lock */
	enum nvme_job_kind kind;
	struct nvme_sq *sq;
	struct nvme_cmd cmd;
	u64 due_ns;
};
TAILQ_HEAD(nvme_jobs, nvme_job);

struct nvme_sq {
	struct nvme_ctrl *ctrl; /* immutable */
	u16 id;			/* immutable */
	struct mutex lock;
	/* Set before live, constant while live. */
	u64 base;
	u32 size;
	struct nvme_cq *cq;
	struct hw_dma *dma; /* opened with the first queue of this id, closed with the controller */
	/* Guarded by lock. */
	bool live;
	bool running; /* the token */
	bool again;   /* the runner is to look again before it goes */
	bool draining;
	u32 head, tail; /* head: written by the token's holder with lock held */
	u32 outstanding;	/* commands at workers */
	atomic_int stop; /* enum nvme_stop */
	sem_t drained;	 /* posted when draining and neither running nor outstanding */
	/* Private to the token's holder. */
	struct nvme_job job;
	struct nvme_cmd cmds[NVME_BATCH];
	struct nvme_cqe done[NVME_BATCH];
};

/* ---- a command under way ---- */
struct nvme_req {
	struct nvme_ctrl *ctrl;
	struct nvme_sq *sq;
	const struct nvme_cmd *cmd; /* our copy */
	struct hw_dma *dma;
	u8 *scratch;	/* NVME_SCRATCH_BYTES, of a worker; NULL on a doorbell's thread */
	u32 inline_max; /* without scratch: longer transfers go to a worker */
	bool queued;	/* came as a job of its own: its delay is over */
	u32 bytes;	/* moved, for the budget */
	u32 dw0;	/* of the completion */
	u16 param_loc;	/* which byte of the command was bad; NVME_NO_LOC */
	u64 lba;	/* where it went wrong */
};

#define NVME_NO_LOC 0xffffu
#define NVME_LOC(field) ((u16)offsetof(struct nvme_cmd, field))

/* Besides enum nvme_status a command may answer: */
#define NVME_TO_WORKER 0x10000 /* not done: run it again on a worker */
#define NVME_HELD 0x10001      /* no completion now (asynchronous event request) */

/* ---- namespaces ---- */
struct nvme_ns {
	u32 id;	       /* immutable, as are all but the atomics */
	u8 *media;
	u64 size_bytes;
	bool readonly;
	u8 nguid[16];
	u8 uuid[16];
	u8 option_lbads;
	atomic_uint lbads;
	atomic_uint error_recovery; /* feature 05h */
	atomic_bool formatting;
	atomic_bool dirty; /* something was written since the last flush */
};

/* ---- features that are one number ---- */
enum nvme_simple_feature {
	NVME_SIMPLE_ARBITRATION,
	NVME_SIMPLE_POWER,
	NVME_SIMPLE_WRITE_CACHE,
	NVME_SIMPLE_COALESCING,
	NVME_SIMPLE_ATOMICITY,
	NVME_SIMPLE_EVENTS,
	NVME_SIMPLE_FEATURES,
};

enum nvme_event {
	NVME_EV_DOORBELL_REGISTER,
	NVME_EV_DOORBELL_VALUE,
	NVME_EV_TEMPERATURE,
	NVME_EV_NS_CHANGED,
	NVME_EVENTS,
};

/* What the controller counts through its life; see struct nvme_nvram. */
struct nvme_counters {
	atomic_ullong sectors_read, sectors_written; /* of 512 bytes */
	atomic_ullong reads, writes;
	atomic_ullong busy_ns;
	atomic_ullong media_errors;
	atomic_ullong error_entries;
	atomic_ullong power_cycles, unsafe_shutdowns;
	atomic_ullong on_ns; /* of earlier programs */
};

enum nvme_state { NVME_DISABLED, NVME_READY, NVME_SHUT_DOWN, NVME_FATAL };

/* ---- workers ---- */
struct nvme_worker {
	SLIST_ENTRY(nvme_worker) link; /* guarded by nvme_pool.lock */
	struct nvme_ctrl *ctrl;
	struct hw_thread *thread;
	struct hw_dma *dma;
	u8 scratch[NVME_SCRATCH_BYTES];
};

struct nvme_pool {
	struct mutex lock;
	sem_t wake;
	/* Guarded by lock. */
	struct nvme_jobs runs; /* queues to run */
	struct nvme_jobs cmds; /* commands, in the order in which they are due */
	SLIST_HEAD(, nvme_worker) workers;
	u32 started, busy, queued;
	bool stopping;
	bool run_last; /* the last job taken was a queue */
	bool held;     /* no job is taken */
	/* Immutable. */
	u32 max;
};

struct nvme_nvram;

struct nvme_ctrl {
	struct hw_device *hw;
	/* Immutable after create. */
	u32 queues;
	u32 ns_count;
	u8 mdts;
	u64 latency_ns;
	char serial[21];
	char model[41];
	struct nvme_ns ns[NVME_NS_MAX];
	struct nvme_nvram *nvram; /* mapped */
	u8 *bar;		  /* the register page as the program reads it */
	u64 born_ns;

	struct mutex state_lock;
	bool powered;		   /* guarded by state_lock: this program has enabled it once */
	atomic_bool unclean;	   /* enabled, and not told of a shutdown since */
	atomic_bool held;	   /* quiesced: no command is fetched, no event told */
	atomic_int state; /* enum nvme_state; changed with state_lock held, or to NVME_FATAL by anyone */
	u32 page_bytes;		   /* CC.MPS; constant while enabled */
	_Atomic u32 regs[0x40 / 4];

	struct mutex irq_lock;
	u32 intms;			    /* guarded by irq_lock */
	u64 asserting[(NVME_QIDS + 63) / 64]; /* guarded by irq_lock: queues with entries not taken */
	bool level;			    /* guarded by irq_lock */
	atomic_bool intx_used;		    /* some bit of asserting may be set */

	struct mutex lock; /* guards what follows up to counters */
	struct nvme_error_entry errors[NVME_ERRORS];
	u64 error_count;
	u16 aers[NVME_AERS];
	u32 aer_count;
	atomic_uint events_pending; /* BIT(enum nvme_event) */
	u32 events_masked;	    /* BIT(enum nvme_event_type) until the host reads the log */
	u32 ns_changed;		    /* BIT(nsid - 1) */
	u32 simple[NVME_SIMPLE_FEATURES];
	u32 simple_saved[NVME_SIMPLE_FEATURES];
	u16 temperature_over, temperature_under;
	u64 vector_no_coalescing[(NVME_VECTORS + 63) / 64];
	u64 timestamp_ms, timestamp_set_ns;
	bool timestamp_by_host;

	struct nvme_counters counters;
	struct nvme_pool pool;
	struct nvme_cq cq[NVME_QIDS];
	struct nvme_sq sq[NVME_QIDS];
	/* One page for answers; private to the admin queue's runner. */
	u8 page[NVME_IDENTIFY_BYTES] __attribute__((aligned(8)));
};

/* ---- nvme.c ---- */
u64 nvme_now_ns(void);

/* ---- DMA: see "Peer to peer" above ---- */
extern __thread unsigned nvme_dma_depth __attribute__((tls_model("initial-exec")));

static inline int nvme_dma_read(struct hw_dma *dma, u64 iova, void *buf, size_t len)
{
	int err;

	nvme_dma_depth++;
	err = hw_dma_read(dma, iova, buf, len);
	nvme_dma_depth--;
	return err;
}

static inline int nvme_dma_write(struct hw_dma *dma, u64 iova, const void *buf, size_t len)
{
	int err;

	nvme_dma_depth++;
	err = hw_dma_write(dma, iova, buf, len);
	nvme_dma_depth--;
	return err;
}

/* ---- ctrl.c ---- */
/** nvme_ctrl_init_registers - what a driver reads before it has written anything */
void nvme_ctrl_init_registers(struct nvme_ctrl *ctrl);
/** nvme_ctrl_write - a 4-byte store to a register below the doorbells */
void nvme_ctrl_write(struct nvme_ctrl *ctrl, u32 off, u32 val);
/** nvme_ctrl_reset - power-on state.  On return no DMA is under way and no thread runs. */
void nvme_ctrl_reset(struct nvme_ctrl *ctrl);
/** nvme_ctrl_fatal - CSTS.CFS: nothing runs until the next reset.  Any thread, no lock held. */
void nvme_ctrl_fatal(struct nvme_ctrl *ctrl, const char *why);

/** nvme_ctrl_load_registers - as another controller had them.  state_lock held. */
void nvme_ctrl_load_registers(struct nvme_ctrl *ctrl, enum nvme_state state, u32 cc, u32 csts, u32 aqa, u64 asq,
			      u64 acq);

static inline bool nvme_ready(struct nvme_ctrl *ctrl)
{
	return atomic_load_explicit(&ctrl->state, memory_order_acquire) == NVME_READY;
}

/* ---- queue.c ---- */
void nvme_queues_init(struct nvme_ctrl *ctrl);
void nvme_queues_destroy(struct nvme_ctrl *ctrl);
/** nvme_cq_start, nvme_sq_start - a queue that is not live becomes so.  Return: 0; -ENOMEM */
void nvme_cq_start(struct nvme_ctrl *ctrl, u16 id, u64 base, u32 size, u16 vector, bool interrupts);
int nvme_sq_start(struct nvme_ctrl *ctrl, u16 id, u64 base, u32 size, u16 cqid);
/**
 * nvme_sq_stop - no command of the queue is under way when this returns
 * @how: NVME_STOP_DELETE completes those that had not begun as aborted; NVME_STOP_RESET forgets them
 * Not from within a command of this queue.
 */
void nvme_sq_stop(struct nvme_ctrl *ctrl, u16 id, enum nvme_stop how);
void nvme_cq_stop(struct nvme_ctrl *ctrl, u16 id);
bool nvme_sq_live(struct nvme_ctrl *ctrl, u32 id);
bool nvme_cq_live(struct nvme_ctrl *ctrl, u32 id);
/** nvme_doorbell - a 4-byte store at or above NVME_REG_DOORBELLS */
void nvme_doorbell(struct nvme_ctrl *ctrl, u32 off, u32 val);
/** nvme_sq_kick - run the queue's commands here, or tell who runs it already to look again */
void nvme_sq_kick(struct nvme_sq *sq);
/** nvme_sq_run - the token's holder runs commands until none is left or @budget bytes are moved */
void nvme_sq_run(struct nvme_sq *sq, u8 *scratch, u64 budget);
/** nvme_cq_reserve - room for up to @want entries.  Return: how many are promised. */
u32 nvme_cq_reserve(struct nvme_cq *cq, u32 want);
void nvme_cq_unreserve(struct nvme_cq *cq, u32 count);
/** nvme_cq_post - write @n entries that were reserved, then interrupt.  @cqes is changed. */
void nvme_cq_post(struct nvme_ctrl *ctrl, struct nvme_cq *cq, struct hw_dma *dma, struct nvme_cqe *cqes,
		  u32 n);
/** nvme_req_finish - fill @cqe; a failed command is logged */
void nvme_req_finish(struct nvme_req *req, int status, u16 sq_head, struct nvme_cqe *cqe);
/** nvme_req_exec - run a command.  Return: enum nvme_status, with NVME_DNR; NVME_TO_WORKER; NVME_HELD. */
int nvme_req_exec(struct nvme_req *req);
/** nvme_job_done - a command that a worker had has ended, its completion posted */
void nvme_job_done(struct nvme_sq *sq);
/** nvme_job_abort - a command that no worker had begun is completed with @status */
void nvme_job_abort(struct nvme_job *job, int status);
/** nvme_sq_release - give the token back.  Return: false if there is more to do; the token stays. */
bool nvme_sq_release(struct nvme_sq *sq);
/** nvme_intx_update - after @cq's posted or acked changed */
void nvme_intx_update(struct nvme_ctrl *ctrl, struct nvme_cq *cq);
void nvme_intx_mask(struct nvme_ctrl *ctrl, u32 set, u32 clear);
void nvme_bus_master_on(struct nvme_ctrl *ctrl);
/** nvme_cq_load, nvme_sq_load, nvme_intx_load - of what was just started: where it stood */
void nvme_cq_load(struct nvme_cq *cq, u32 head, u32 tail, bool phase, bool starved);
void nvme_sq_load(struct nvme_sq *sq, u32 head, u32 tail);
void nvme_intx_load(struct nvme_ctrl *ctrl, u32 intms, const u64 asserting[2], bool level);

/* ---- worker.c ---- */
void nvme_pool_init(struct nvme_ctrl *ctrl, u32 workers);
void nvme_pool_destroy(struct nvme_ctrl *ctrl);
/** nvme_pool_stop - join all threads; no job is queued nor comes */
void nvme_pool_stop(struct nvme_ctrl *ctrl);
/** nvme_pool_run - hand the token of @sq to a worker.  Return: 0; -errno, and the token stays. */
int nvme_pool_run(struct nvme_sq *sq);
/** nvme_pool_cmd - hand a command, copied, to a worker.  Return: 0; -ESHUTDOWN: queue stops; -errno. */
int nvme_pool_cmd(struct nvme_sq *sq, const struct nvme_cmd *cmd);
/** nvme_pool_cancel - take out all jobs of @sq; for nvme_sq_stop() */
void nvme_pool_cancel(struct nvme_sq *sq, struct nvme_jobs *ret_jobs);
/** nvme_pool_take - take out the command @cid of @sq if no worker has it yet.  Return: the caller's; NULL. */
struct nvme_job *nvme_pool_take(struct nvme_sq *sq, u16 cid);

/** nvme_pool_hold - take no job any more; waits for those that were begun.  nvme_pool_release - undo it. */
void nvme_pool_hold(struct nvme_ctrl *ctrl);
/** Return: 0; -errno: there are jobs, and no thread could be started. */
int nvme_pool_release(struct nvme_ctrl *ctrl);
/** nvme_pool_has - does the token of @sq wait for a thread? */
bool nvme_pool_has(struct nvme_sq *sq);
/** nvme_pool_load - a command that waits @left_ns more, its completion reserved; while held.  0; -ENOMEM. */
int nvme_pool_load(struct nvme_sq *sq, const struct nvme_cmd *cmd, u64 left_ns);

/* ---- migrate.c ---- */
void nvme_quiesce(struct hw_device *hw);
void nvme_resume(struct hw_device *hw);
int nvme_save(struct hw_device *hw, struct hw_stream *out);
int nvme_load(struct hw_device *hw, struct hw_stream *in);
void nvme_identity(struct hw_device *hw, char *buf, size_t size);

/* ---- commands ---- */
int nvme_admin_exec(struct nvme_req *req);
int nvme_io_exec(struct nvme_req *req);
int nvme_identify(struct nvme_req *req);
int nvme_get_features(struct nvme_req *req);
int nvme_set_features(struct nvme_req *req);
int nvme_get_log(struct nvme_req *req);
int nvme_event_request(struct nvme_req *req);

/**
 * nvme_refuse - a command is wrong: say so to who asked with --explain
 * @loc: NVME_LOC(field), NVME_NO_LOC
 * Return: @status with NVME_DNR
 */
int nvme_refuse(struct nvme_req *req, int status, u16 loc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), cold));

/* ---- data.c ---- */
/** nvme_piece_fn - [iova, iova+len) of client memory is [off, off+len) of the transfer.  Return: status. */
typedef int nvme_piece_fn(struct nvme_req *req, void *arg, u64 iova, u64 off, u32 len);
/**
 * nvme_data_walk - call @fn for each piece of the client's buffer, in order
 * @len: 1 to 256 MiB; @from_client: which way data goes (an SGL's bit buckets count one way only)
 * Return: 0; what @fn returned; the status that tells what is wrong with PRPs or SGL
 */
int nvme_data_walk(struct nvme_req *req, u64 len, bool from_client, nvme_piece_fn *fn, void *arg);
/** nvme_data_read - client memory into @buf;  nvme_data_write - @buf into client memory.  Return: status. */
int nvme_data_read(struct nvme_req *req, void *buf, u64 len);
int nvme_data_write(struct nvme_req *req, const void *buf, u64 len);
/** nvme_dma_status - what a failed transfer means to the host; says so */
int nvme_dma_status(struct nvme_req *req, int err, u64 iova, u32 len, bool from_client);

/* ---- namespace.c ---- */
int nvme_ns_open(struct nvme_ctrl *ctrl, struct nvme_ns *ns, u32 id, u8 lbads);
void nvme_ns_close(struct nvme_ns *ns);
/** nvme_ns_flush - make written data durable.  May take long.  Return: status. */
int nvme_ns_flush(struct nvme_ns *ns);
int nvme_ns_sync_range(struct nvme_ns *ns, u64 off, u64 len);
/** nvme_ns_zero - [off, off+len) reads zeros; gives memory back where it can.  Return: status. */
int nvme_ns_zero(struct nvme_ns *ns, u64 off, u64 len);

/** nvme_make_uuid - the same in each run; @nsid 0: the controller's own */
void nvme_make_uuid(struct nvme_ctrl *ctrl, u32 nsid, u8 uuid[16]);

static inline u64 nvme_ns_blocks(const struct nvme_ns *ns, u32 lbads) { return ns->size_bytes >> lbads; }
static inline struct nvme_ns *nvme_ns_find(struct nvme_ctrl *ctrl, u32 nsid)
{
	return nsid - 1 < ctrl->ns_count ? &ctrl->ns[nsid - 1] : NULL;
}

/* ---- feature.c, log.c, event.c, nvram.c ---- */
/** nvme_features_init - what a new controller has saved;  nvme_features_reset - that becomes current */
void nvme_features_init(struct nvme_ctrl *ctrl);
void nvme_features_reset(struct nvme_ctrl *ctrl);
/** nvme_feature_mask - the bits that mean something */
u32 nvme_feature_mask(enum nvme_simple_feature which);
u32 nvme_feature_simple(struct nvme_ctrl *ctrl, enum nvme_simple_feature which);
/** nvme_error_log - enter a failed command.  Return: its status with NVME_MORE. */
int nvme_error_log(struct nvme_req *req, int status);
/** nvme_event_raise - tell the host, when it asks.  No lock held. */
void nvme_event_raise(struct nvme_ctrl *ctrl, enum nvme_event event);
/** nvme_events_post - for the runner of the admin queue */
void nvme_events_post(struct nvme_ctrl *ctrl);
void nvme_events_unmask(struct nvme_ctrl *ctrl, enum nvme_event_type type);
/** nvme_event_abort - forget request @cid.  Return: was there one? */
bool nvme_event_abort(struct nvme_ctrl *ctrl, u16 cid);
void nvme_events_reset(struct nvme_ctrl *ctrl);
bool nvme_temperature_crossed(struct nvme_ctrl *ctrl);

int nvme_nvram_open(struct nvme_ctrl *ctrl);
void nvme_nvram_close(struct nvme_ctrl *ctrl);
/** nvme_nvram_save - write down counters, saved features and formats */
void nvme_nvram_save(struct nvme_ctrl *ctrl);
u8 nvme_nvram_lbads(struct nvme_ctrl *ctrl, u32 nsid, u8 option_lbads);

#endif
