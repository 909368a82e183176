/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutex.h - a lock that knows its place.
 *
 * Every lock of the kernel has a rank from the one list below.  A thread may take a lock only if its
 * rank is above those of all locks it holds (equal ranks: never both at once, except where a _nested
 * function says in which order).  Builds with -Dlockdep=true check that at each mutex_lock() and
 * abort with both ranks; other builds are a bare pthread mutex.
 */
#ifndef KERNEL_LIB_MUTEX_H
#define KERNEL_LIB_MUTEX_H

#include <pthread.h>
#include <stdbool.h>

/* Outermost first. */
enum lock_rank {
	LOCK_FILE_REAP = 1,    /* fs/share.c: releasing what other processes had open too */
	LOCK_MACHINE,	       /* machine.c: which machine this process has */
	LOCK_TREE,	       /* kernfs.c: the machine's directory, held across processes */
	LOCK_DEVICE,	       /* base/: binding of a device */
	LOCK_VFIO_GROUP,       /* group.c: vfio_group.group_lock */
	LOCK_VFIO_CONTAINER,   /* container.c: vfio_container.group_lock */
	LOCK_VFIO_DEVICE_SET,  /* vfio_main.c: vfio_device_set.lock */
	LOCK_VFIO_ASKED,       /* vfio/asked.c: devices in use, while they are asked back */
	LOCK_VFIO_PCI_IGATE,   /* vfio_pci_intrs.c: vfio_pci_core_device.igate; vfio_platform_device.igate */
	LOCK_VFIO_PCI_MEMORY,  /* vfio_pci_core.c: memory_lock */
	LOCK_VFIO_MIG,	       /* vfio/pci/soft: state of migration */
	LOCK_VFIO_MIG_STREAM,  /* vfio/pci/soft: a session's bytes */
	LOCK_VFIO_PCI_CONFIG,  /* vfio_pci_config.c: vconfig */
	LOCK_VIRQFD,	       /* virqfd.c */
	LOCK_VFIO_PCI_INTX,    /* vfio_pci_intrs.c: irqlock */
	LOCK_IOMMUFD_ACCESS_CHANGE, /* iommufd/access.c: attach, replace, detach of an access */
	LOCK_IOMMUFD_GROUPS,   /* iommufd_ctx.groups_lock: groups of a context, vDEVICEs of its devices */
	LOCK_IOMMUFD_IOAS,     /* iommufd/ioas.c: iommufd_ioas.mutex */
	LOCK_IOMMUFD_GROUP,    /* iommufd/device.c: what a group's devices are attached to */
	LOCK_IOMMUFD_ACCESS,   /* iommufd/access.c: which IOAS an access is attached to */
	LOCK_IOPT,	       /* iommufd/io_pagetable.c: what is mapped in an I/O address space */
	LOCK_VFIO_PCI_DMA_BUFS, /* vfio_pci_dmabuf.c: the buffers of devices; a buffer's end comes under the two above */
	LOCK_DMA_BUF,	       /* fs/dma-buf.c: one buffer; held while its memory is used or taken back */
	LOCK_IOPT_PAGES,       /* iommufd/pages.c: what is pinned of one piece of memory */
	LOCK_PCI_VPD,	       /* pci/vpd.c: the two registers of vital product data */
	LOCK_PCI_MSI_STATE,    /* pci/msi.c: that vectors are enabled; a link may be reset at any time */
	LOCK_IOMMU_GROUP,      /* iommu.c: iommu_group.mutex */
	LOCK_IOMMU_DOMAIN,     /* pt/: writers of one page table */
	LOCK_IOMMUFD_VIOMMU,   /* iommufd/viommu.c: vDEVICEs and vEVENTQs of a vIOMMU */
	LOCK_IOMMUFD_EVENTQ,   /* iommufd/eventq.c: one queue */
	LOCK_IOMMUFD_MOCK,     /* iommufd/selftest_*.c: the mock IOMMU, its devices, access files */
	LOCK_IOPF,	       /* io-pgfault.c: page requests that nobody answered yet */
	LOCK_MM_MAPS,	       /* mm/process.c: another process's maps, while they are read */
	LOCK_MM_PINS,	       /* mm/pins.c: what is pinned; held while pinned pages move */
	LOCK_HW_MODEL,	       /* hw/<model>: a device model's own state */
	LOCK_HW_MODEL_QUEUE,   /* hw/<model>: an inner one */
	LOCK_HW_CONFIG,	       /* hw/core: config space */
	LOCK_HW_IRQ,	       /* hw/core: MSI-X table, pending bits, pin */
	LOCK_HW_IOMMU,	       /* hw/iommu: device table, list of IOTLBs */
	LOCK_HW_IOTLB,	       /* hw/iommu: one engine's translations; held while bytes move */
	LOCK_PCI_MSI,	       /* pci/msi.c: message to handler */
	LOCK_PCI_AER,	       /* pci/aer.c: devices that reported an error */
	LOCK_VFIO_PCI_TRIGGER, /* eventfd of a vector, read by interrupt handlers; vfio_platform_irq.lock */
	LOCK_IOMMUFD_OBJECTS,  /* iommufd/main.c: a context's table of objects */
	LOCK_VMA,	       /* mm/vma.c */
	LOCK_KERNFS,	       /* fs/kernfs.c, fs/chrdev.c: tables of nodes, open attributes */
	LOCK_KVM_VFIO,	       /* kvm/vfio.c: files of a device of KVM */
	LOCK_KVM_VFIO_WATCH,   /* kvm/vfio.c: virtual machines that have one */
	LOCK_SERVE,	       /* syscall/serve.c: files of another process; syscall/proxy.c: connections */
	LOCK_FILE_SHARE,       /* fs/share.c: files that other processes have open */
	LOCK_FDTABLE,	       /* fs/fdtable.c */
	LOCK_HW_INJECT,	       /* hw/core: orders of faults */
	LOCK_PLUGIN,	       /* hw/core: models that were loaded; the dynamic linker's lock is inside it */
	LOCK_LOG,	       /* lib/, trace */
};

struct mutex {
	pthread_mutex_t m;
#ifdef LOCKDEP
	enum lock_rank rank;
	unsigned long owner; /* pthread_self() of the holder; 0 if free */
#endif
};

#ifdef LOCKDEP
#define MUTEX_INITIALIZER(rank_) { .m = PTHREAD_MUTEX_INITIALIZER, .rank = (rank_) }
void mutex_init(struct mutex *lock, enum lock_rank rank);
void mutex_destroy(struct mutex *lock);
void mutex_lock(struct mutex *lock);
bool mutex_trylock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);
/** mutex_lock_nested - one more of a rank that this thread holds already; who calls says in which order. */
void mutex_lock_nested(struct mutex *lock);
void lockdep_assert_held(struct mutex *lock);
#else
#define MUTEX_INITIALIZER(rank_) { .m = PTHREAD_MUTEX_INITIALIZER }
static inline void mutex_init(struct mutex *lock, enum lock_rank rank)
{
	(void)rank;
	pthread_mutex_init(&lock->m, NULL);
}
static inline void mutex_destroy(struct mutex *lock) { pthread_mutex_destroy(&lock->m); }
static inline void mutex_lock(struct mutex *lock) { pthread_mutex_lock(&lock->m); }
static inline void mutex_lock_nested(struct mutex *lock) { pthread_mutex_lock(&lock->m); }
static inline bool mutex_trylock(struct mutex *lock) { return pthread_mutex_trylock(&lock->m) == 0; }
static inline void mutex_unlock(struct mutex *lock) { pthread_mutex_unlock(&lock->m); }
static inline void lockdep_assert_held(struct mutex *lock) { (void)lock; }
#endif

#endif
