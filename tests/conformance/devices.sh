# SPDX-License-Identifier: BSD-3-Clause
# devices.sh - the devices that config, bars, irqs and resets ask about, for compare and real to read.
named=(edu=0000:00:10.0 nvme=0000:01:00.0 igb=0000:02:00.0 e1000e=0000:03:00.0 ivshmem=0000:00:14.0 vga=0000:00:15.0 ahci=0000:00:16.0
	virtio=0000:04:00.0 xhci=0000:00:18.0 megasas=0000:05:00.0 i82801=0000:05:00.1 vmxnet3=0000:00:1a.0 serial=0000:00:1b.0
	cxl=0000:0d:00.0)
# is_named PROGRAM: is it one of those?
is_named() { case $1 in bars | config | irqs | resets) true ;; *) false ;; esac; }
named_in_qemu=edu,nvme,igb,e1000e,ivshmem,VGA=1234:1111,ich9-ahci=8086:2922,virtio,nec-usb-xhci=1033:0194,functions
named_in_qemu+=,vmxnet3=15ad:07b0,pci-serial,cxl
paired=(left=0000:07:01.0 right=0000:07:02.0) # two edu on one bus and in one group; in QEMU "pair", behind the others
# named_here BUILDDIR: options that add those which are not built in, made of what config's answers tell of their registers
named_here() {
	local dir device group
	dir=$(dirname "${BASH_SOURCE[0]}")
	for device in "${named[@]:2}"; do
		case $device in *=0000:05:*) group=,group=80 ;; *) group= ;; esac # functions of one device
		printf '%s\n' -d "$1/tests/conformance/standin.so,answers=$dir/config.linux-intel.txt,device=${device%=*},addr=${device#*=}$group"
	done
	printf '%s\n' -d root-port,addr=0000:00:1c.0,bus=0x0d,cxl=on
}
