/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regs.h - NVM Express 1.4 as bytes: registers, commands, completions, identify data, logs.
 *
 * Everything here is little endian and has the layout of the specification; static asserts pin each
 * size and the offsets that are easy to get wrong.  Nothing in this file has behaviour.
 *
 * Source: NVM Express Base Specification 1.4; section numbers are its.
 */
#ifndef HW_NVME_REGS_H
#define HW_NVME_REGS_H

#include "kernel/lib/types.h"

#define NVME_PACKED __attribute__((packed))

/* ---- 3.1 registers ---- */
#define NVME_REG_CAP 0x00u
#define NVME_REG_VS 0x08u
#define NVME_REG_INTMS 0x0cu
#define NVME_REG_INTMC 0x10u
#define NVME_REG_CC 0x14u
#define NVME_REG_CSTS 0x1cu
#define NVME_REG_NSSR 0x20u
#define NVME_REG_AQA 0x24u
#define NVME_REG_ASQ 0x28u
#define NVME_REG_ACQ 0x30u
#define NVME_REG_DOORBELLS 0x1000u

#define NVME_CAP_MQES(entries) ((u64)(entries) - 1)
#define NVME_CAP_CQR BIT_ULL(16)
#define NVME_CAP_TO(half_seconds) ((u64)(half_seconds) << 24)
#define NVME_CAP_CSS_NVM BIT_ULL(37)
#define NVME_CAP_MPSMAX(lg2_pages) ((u64)(lg2_pages) << 52)

#define NVME_VS_1_4 0x00010400u

#define NVME_CC_EN BIT(0)
#define NVME_CC_CSS(cc) (((cc) >> 4) & 7u)
#define NVME_CC_MPS(cc) (((cc) >> 7) & 15u)
#define NVME_CC_AMS(cc) (((cc) >> 11) & 7u)
#define NVME_CC_SHN(cc) (((cc) >> 14) & 3u)
#define NVME_CC_IOSQES(cc) (((cc) >> 16) & 15u)
#define NVME_CC_IOCQES(cc) (((cc) >> 20) & 15u)
#define NVME_CC_WRITABLE 0x00fffff1u

#define NVME_CSTS_RDY BIT(0)
#define NVME_CSTS_CFS BIT(1)
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_SHST_COMPLETE (2u << 2)

#define NVME_AQA_ASQS(aqa) ((aqa) & 0xfffu)
#define NVME_AQA_ACQS(aqa) (((aqa) >> 16) & 0xfffu)

/* ---- 4.2 submission queue entry ---- */
struct nvme_sgl_desc {
	u64 addr;
	u32 length;
	u8 reserved[3];
	u8 id; /* 7:4 type, 3:0 sub type */
} NVME_PACKED;

enum nvme_sgl_type {
	NVME_SGL_DATA = 0,
	NVME_SGL_BIT_BUCKET = 1,
	NVME_SGL_SEGMENT = 2,
	NVME_SGL_LAST_SEGMENT = 3,
};

struct nvme_cmd {
	u8 opcode;
	u8 flags; /* 1:0 fused, 7:6 PRP or SGL */
	u16 cid;
	u32 nsid;
	u32 cdw2;
	u32 cdw3;
	u64 mptr;
	union {
		struct {
			u64 prp1;
			u64 prp2;
		} NVME_PACKED;
		struct nvme_sgl_desc sgl1;
	} NVME_PACKED;
	u32 cdw10;
	u32 cdw11;
	u32 cdw12;
	u32 cdw13;
	u32 cdw14;
	u32 cdw15;
};

#define NVME_CMD_FUSE(flags) ((flags) & 3u)
#define NVME_CMD_PSDT(flags) ((flags) >> 6)

_Static_assert(sizeof(struct nvme_sgl_desc) == 16, "4.4");
_Static_assert(sizeof(struct nvme_cmd) == 64, "4.2");
_Static_assert(offsetof(struct nvme_cmd, mptr) == 16, "4.2");
_Static_assert(offsetof(struct nvme_cmd, prp1) == 24, "4.2");
_Static_assert(offsetof(struct nvme_cmd, prp2) == 32, "4.2");
_Static_assert(offsetof(struct nvme_cmd, cdw10) == 40, "4.2");

/* ---- 4.6 completion queue entry ---- */
struct nvme_cqe {
	u32 dw0;
	u32 dw1;
	u16 sq_head;
	u16 sq_id;
	u16 cid;
	u16 status; /* 0 phase, 15:1 status field */
};

#define NVME_CQE_PHASE_BYTE 14u /* the byte that a polling driver looks at */

_Static_assert(sizeof(struct nvme_cqe) == 16, "4.6");
_Static_assert(offsetof(struct nvme_cqe, status) == NVME_CQE_PHASE_BYTE, "4.6");

/* The status field, bit 0 being bit 17 of dword 3: 7:0 code, 10:8 type, 13 more, 14 do not retry. */
#define NVME_SC(type, code) ((u16)((type) << 8 | (code)))
#define NVME_SC_MASK 0x7ffu
#define NVME_MORE BIT(13)
#define NVME_DNR BIT(14)

enum nvme_status {
	NVME_OK = 0,
	/* generic */
	NVME_INVALID_OPCODE = 0x001,
	NVME_INVALID_FIELD = 0x002,
	NVME_DATA_TRANSFER_ERROR = 0x004,
	NVME_INTERNAL_ERROR = 0x006,
	NVME_ABORT_REQUESTED = 0x007,
	NVME_ABORTED_SQ_DELETION = 0x008,
	NVME_INVALID_NS = 0x00b,
	NVME_COMMAND_SEQUENCE = 0x00c,
	NVME_INVALID_SGL_SEGMENT = 0x00d,
	NVME_INVALID_SGL_COUNT = 0x00e,
	NVME_DATA_SGL_LENGTH = 0x00f,
	NVME_SGL_TYPE = 0x011,
	NVME_PRP_OFFSET = 0x013,
	NVME_NS_WRITE_PROTECTED = 0x020,
	NVME_LBA_RANGE = 0x080,
	NVME_FORMAT_IN_PROGRESS = 0x084,
	/* command specific */
	NVME_CQ_INVALID = 0x100,
	NVME_INVALID_QID = 0x101,
	NVME_INVALID_QSIZE = 0x102,
	NVME_AER_LIMIT = 0x105,
	NVME_INVALID_VECTOR = 0x108,
	NVME_INVALID_LOG_PAGE = 0x109,
	NVME_INVALID_FORMAT = 0x10a,
	NVME_INVALID_QUEUE_DELETION = 0x10c,
	NVME_FEATURE_NOT_SAVEABLE = 0x10d,
	NVME_FEATURE_NOT_CHANGEABLE = 0x10e,
	NVME_FEATURE_NOT_NS = 0x10f,
	/* media */
	NVME_WRITE_FAULT = 0x280,
	NVME_READ_ERROR = 0x281,
	NVME_COMPARE_FAILURE = 0x285,
};

/* ---- opcodes ---- */
enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_AER = 0x0c,
	NVME_ADMIN_FORMAT = 0x80,
};

enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_COMPARE = 0x05,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DSM = 0x09,
	NVME_IO_VERIFY = 0x0c,
};

#define NVME_NSID_ALL 0xffffffffu
#define NVME_RW_FUA BIT(30)	     /* cdw12 */
#define NVME_DSM_DEALLOCATE BIT(2)   /* cdw11 */
#define NVME_DSM_RANGES 256u

struct nvme_dsm_range {
	u32 attributes;
	u32 blocks;
	u64 slba;
};
_Static_assert(sizeof(struct nvme_dsm_range) == 16, "6.7");

/* ---- 5.15 identify ---- */
enum nvme_cns {
	NVME_CNS_NS = 0x00,
	NVME_CNS_CTRL = 0x01,
	NVME_CNS_ACTIVE_LIST = 0x02,
	NVME_CNS_NS_DESC = 0x03,
	NVME_CNS_ALLOCATED_LIST = 0x10,
	NVME_CNS_ALLOCATED_NS = 0x11,
	NVME_CNS_NS_CTRL_LIST = 0x12,
	NVME_CNS_CTRL_LIST = 0x13,
};

#define NVME_IDENTIFY_BYTES 4096u

struct nvme_lbaf {
	u16 ms;
	u8 lbads;
	u8 rp;
};

struct nvme_id_ns {
	u64 nsze;
	u64 ncap;
	u64 nuse;
	u8 nsfeat;
	u8 nlbaf;
	u8 flbas;
	u8 mc;
	u8 dpc;
	u8 dps;
	u8 nmic;
	u8 rescap;
	u8 fpi;
	u8 dlfeat;
	u16 nawun;
	u16 nawupf;
	u16 nacwu;
	u16 nabsn;
	u16 nabo;
	u16 nabspf;
	u16 noiob;
	u8 nvmcap[16];
	u16 npwg;
	u16 npwa;
	u16 npdg;
	u16 npda;
	u16 nows;
	u8 reserved74[18];
	u32 anagrpid;
	u8 reserved96[3];
	u8 nsattr;
	u16 nvmsetid;
	u16 endgid;
	u8 nguid[16];
	u8 eui64[8];
	struct nvme_lbaf lbaf[16];
	u8 reserved192[192];
	u8 vendor[3712];
} NVME_PACKED;

_Static_assert(sizeof(struct nvme_id_ns) == NVME_IDENTIFY_BYTES, "figure 245");
_Static_assert(offsetof(struct nvme_id_ns, dlfeat) == 33, "figure 245");
_Static_assert(offsetof(struct nvme_id_ns, nsattr) == 99, "figure 245");
_Static_assert(offsetof(struct nvme_id_ns, nguid) == 104, "figure 245");
_Static_assert(offsetof(struct nvme_id_ns, lbaf) == 128, "figure 245");
_Static_assert(offsetof(struct nvme_id_ns, vendor) == 384, "figure 245");

struct nvme_power_state {
	u16 mp;
	u8 reserved2;
	u8 flags;
	u32 enlat;
	u32 exlat;
	u8 rrt;
	u8 rrl;
	u8 rwt;
	u8 rwl;
	u8 reserved16[16];
};
_Static_assert(sizeof(struct nvme_power_state) == 32, "figure 248");

struct nvme_id_ctrl {
	u16 vid;
	u16 ssvid;
	char sn[20];
	char mn[40];
	char fr[8];
	u8 rab;
	u8 ieee[3];
	u8 cmic;
	u8 mdts;
	u16 cntlid;
	u32 ver;
	u32 rtd3r;
	u32 rtd3e;
	u32 oaes;
	u32 ctratt;
	u16 rrls;
	u8 reserved102[9];
	u8 cntrltype;
	u8 fguid[16];
	u8 reserved128[128];
	u16 oacs;
	u8 acl;
	u8 aerl;
	u8 frmw;
	u8 lpa;
	u8 elpe;
	u8 npss;
	u8 avscc;
	u8 apsta;
	u16 wctemp;
	u16 cctemp;
	u16 mtfa;
	u32 hmpre;
	u32 hmmin;
	u8 tnvmcap[16];
	u8 unvmcap[16];
	u32 rpmbs;
	u16 edstt;
	u8 dsto;
	u8 fwug;
	u16 kas;
	u16 hctma;
	u16 mntmt;
	u16 mxtmt;
	u32 sanicap;
	u8 reserved332[180];
	u8 sqes;
	u8 cqes;
	u16 maxcmd;
	u32 nn;
	u16 oncs;
	u16 fuses;
	u8 fna;
	u8 vwc;
	u16 awun;
	u16 awupf;
	u8 nvscc;
	u8 nwpc;
	u16 acwu;
	u16 reserved534;
	u32 sgls;
	u32 mnan;
	u8 reserved544[224];
	char subnqn[256];
	u8 reserved1024[1024];
	struct nvme_power_state psd[32];
	u8 vendor[1024];
} NVME_PACKED;

_Static_assert(sizeof(struct nvme_id_ctrl) == NVME_IDENTIFY_BYTES, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, ver) == 80, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, cntrltype) == 111, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, oacs) == 256, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, tnvmcap) == 280, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, sanicap) == 328, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, sqes) == 512, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, vwc) == 525, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, sgls) == 536, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, subnqn) == 768, "figure 247");
_Static_assert(offsetof(struct nvme_id_ctrl, psd) == 2048, "figure 247");

#define NVME_OACS_FORMAT BIT(1)
#define NVME_OAES_NS_ATTR BIT(8)
#define NVME_ONCS_COMPARE BIT(0)
#define NVME_ONCS_DSM BIT(2)
#define NVME_ONCS_WRITE_ZEROES BIT(3)
#define NVME_ONCS_SAVE BIT(4)
#define NVME_ONCS_TIMESTAMP BIT(6)
#define NVME_ONCS_VERIFY BIT(7)
#define NVME_LPA_EFFECTS BIT(1)
#define NVME_LPA_EXTENDED BIT(2)
#define NVME_FRMW_SLOT1_RO_ONE_SLOT 0x03u
#define NVME_VWC_PRESENT BIT(0)
#define NVME_VWC_FLUSH_ALL (3u << 1)
#define NVME_SGLS_SUPPORTED BIT(0)
#define NVME_SGLS_BIT_BUCKET BIT(16)
#define NVME_SGLS_LONGER_OK BIT(18)
#define NVME_DLFEAT_ZEROES_DEALLOCATE 0x09u /* reads zeros; write zeroes may deallocate */
#define NVME_NSATTR_WRITE_PROTECTED BIT(0)

/* CNS 03h: type, length, two reserved bytes, identifier. */
#define NVME_NIDT_NGUID 2
#define NVME_NIDT_UUID 3

/* ---- 5.14 log pages ---- */
enum nvme_log_id {
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_CHANGED_NS = 0x04,
	NVME_LOG_EFFECTS = 0x05,
};

struct nvme_error_entry {
	u64 error_count;
	u16 sq_id;
	u16 cid;
	u16 status; /* as in a completion: phase bit 0, field 15:1 */
	u16 param_loc;
	u64 lba;
	u32 nsid;
	u8 vendor;
	u8 trtype;
	u8 reserved30[2];
	u64 command_specific;
	u16 trtype_specific;
	u8 reserved42[22];
};
_Static_assert(sizeof(struct nvme_error_entry) == 64, "figure 196");
_Static_assert(offsetof(struct nvme_error_entry, nsid) == 24, "figure 196");
_Static_assert(offsetof(struct nvme_error_entry, command_specific) == 32, "figure 196");

struct nvme_u128 {
	u64 lo;
	u64 hi;
};

struct nvme_smart_log {
	u8 critical_warning;
	u16 temperature;
	u8 available_spare;
	u8 spare_threshold;
	u8 percentage_used;
	u8 endurance_group;
	u8 reserved7[25];
	struct nvme_u128 units_read;
	struct nvme_u128 units_written;
	struct nvme_u128 reads;
	struct nvme_u128 writes;
	struct nvme_u128 busy_minutes;
	struct nvme_u128 power_cycles;
	struct nvme_u128 power_on_hours;
	struct nvme_u128 unsafe_shutdowns;
	struct nvme_u128 media_errors;
	struct nvme_u128 error_entries;
	u32 warning_minutes;
	u32 critical_minutes;
	u16 sensors[8];
	u32 transitions[2];
	u32 transition_seconds[2];
	u8 reserved232[280];
} NVME_PACKED;
_Static_assert(sizeof(struct nvme_smart_log) == 512, "figure 198");
_Static_assert(offsetof(struct nvme_smart_log, units_read) == 32, "figure 198");
_Static_assert(offsetof(struct nvme_smart_log, error_entries) == 176, "figure 198");
_Static_assert(offsetof(struct nvme_smart_log, sensors) == 200, "figure 198");

#define NVME_SMART_TEMPERATURE BIT(1)

struct nvme_firmware_log {
	u8 active;
	u8 reserved1[7];
	char slot[7][8];
	u8 reserved64[448];
};
_Static_assert(sizeof(struct nvme_firmware_log) == 512, "figure 199");

#define NVME_CHANGED_NS_MAX 1024u

struct nvme_effects_log {
	u32 admin[256];
	u32 io[256];
	u8 reserved2048[2048];
};
_Static_assert(sizeof(struct nvme_effects_log) == 4096, "figure 201");

#define NVME_EFFECT_SUPPORTED BIT(0)
#define NVME_EFFECT_CONTENT BIT(1)
#define NVME_EFFECT_NS_CHANGE BIT(2)
#define NVME_EFFECT_NS_ALONE (1u << 16) /* command submission: no other command on the namespace */

/* ---- 5.21 features ---- */
enum nvme_feature_id {
	NVME_FEAT_ARBITRATION = 0x01,
	NVME_FEAT_POWER = 0x02,
	NVME_FEAT_TEMPERATURE = 0x04,
	NVME_FEAT_ERROR_RECOVERY = 0x05,
	NVME_FEAT_WRITE_CACHE = 0x06,
	NVME_FEAT_QUEUES = 0x07,
	NVME_FEAT_COALESCING = 0x08,
	NVME_FEAT_VECTOR = 0x09,
	NVME_FEAT_ATOMICITY = 0x0a,
	NVME_FEAT_EVENTS = 0x0b,
	NVME_FEAT_TIMESTAMP = 0x0e,
};

/* ---- 5.2 asynchronous events ---- */
enum nvme_event_type {
	NVME_EVENT_ERROR = 0,
	NVME_EVENT_SMART = 1,
	NVME_EVENT_NOTICE = 2,
};

#endif
