/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A boot sector that proves a disk: it asks the firmware to read later blocks of the boot disk,
 * prints the text that stands there on the serial port, and switches the machine off.
 *
 * Text stands in blocks 2048 to 2055 and ends with a NUL; it goes to 0x8000.
 */
	.code16
	.globl _start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	movb	$0x42, %ah		/* extended read; the boot drive is in dl */
	movw	$packet, %si
	int	$0x13
	jc	failed
	movw	$0x8000, %si
	call	print
off:	movw	$0x604, %dx		/* ACPI power management control: soft off */
	movw	$0x2000, %ax
	outw	%ax, %dx
1:	hlt
	jmp	1b
failed:	movw	$sorry, %si
	call	print
	jmp	off

/* The NUL-terminated string at si goes to the first serial port. */
print:	lodsb
	testb	%al, %al
	jz	3f
	movb	%al, %bl
2:	movw	$0x3fd, %dx
	inb	%dx, %al
	testb	$0x20, %al
	jz	2b
	movw	$0x3f8, %dx
	movb	%bl, %al
	outb	%al, %dx
	jmp	print
3:	ret

sorry:	.asciz	"boot sector: the firmware could not read the disk\r\n"
	.balign	4
packet:	.byte	16, 0			/* disk address packet */
	.word	8			/* blocks */
	.word	0x8000, 0		/* to: offset, segment */
	.quad	2048			/* first block */

	.org	510
	.word	0xaa55
