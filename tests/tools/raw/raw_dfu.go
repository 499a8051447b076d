// raw_dfu PORT download ADDRESS FILE | upload ADDRESS SIZE FILE
//
// A flashing tool in Go without cgo: all it does are system calls of the runtime's own, on threads
// of the runtime's own. Each block is submitted as an URB and reaped by a goroutine that waits in
// the kernel, while others ask the garbage collector for trouble. A file is at most one sector.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	blockSize      = 4096
	timeoutMs      = 5000
	dnload         = 1
	upload         = 2
	getStatus      = 3
	abort          = 6
	setAddress     = 0x21
	erase          = 0x41
	stateDone      = 5
	toInterface    = 0x21
	toHost         = 0xA1
	urbControl     = 2
	ioctlControl   = 0xC0185500
	ioctlSubmit    = 0x8038550A
	ioctlReap      = 0x4008550C
	ioctlClaim     = 0x8004550F
	ioctlInterface = 0x80085504
)

type ctrlTransfer struct {
	requestType, request uint8
	value, index, length uint16
	timeout              uint32
	data                 unsafe.Pointer
}

type urb struct {
	kind, endpoint             uint8
	status                     int32
	flags                      uint32
	buffer                     unsafe.Pointer
	bufferLength, actualLength int32
	startFrame, streamId       int32
	errorCount                 int32
	signal                     uint32
	context                    unsafe.Pointer
}

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "raw_dfu: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) (int, error) {
	for {
		result, _, err := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
		if err == syscall.EINTR {
			continue
		}
		if err != 0 {
			return 0, err
		}
		return int(result), nil
	}
}

func number(port, name string) int {
	path := "/sys/bus/usb/devices/" + port + "/" + name
	text, err := os.ReadFile(path)
	check(err, path)
	value, err := strconv.Atoi(strings.TrimSpace(string(text)))
	check(err, path)
	return value
}

func openBoard(port string) int {
	path := fmt.Sprintf("/dev/bus/usb/%03d/%03d", number(port, "busnum"), number(port, "devnum"))
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	check(err, path)
	var zero [2]uint32
	_, err = ioctl(fd, ioctlClaim, unsafe.Pointer(&zero))
	check(err, "claim")
	_, err = ioctl(fd, ioctlInterface, unsafe.Pointer(&zero))
	check(err, "alternate setting")
	return fd
}

func control(fd int, kind, request uint8, value uint16, data []byte) {
	transfer := ctrlTransfer{requestType: kind, request: request, value: value,
		length: uint16(len(data)), timeout: timeoutMs}
	if len(data) > 0 {
		transfer.data = unsafe.Pointer(&data[0])
	}
	moved, err := ioctl(fd, ioctlControl, unsafe.Pointer(&transfer))
	check(err, "control transfer")
	if moved != len(data) {
		check(fmt.Errorf("%d bytes of %d", moved, len(data)), "control transfer")
	}
}

func awaitDone(fd int) {
	status := make([]byte, 6)
	for status[4] != stateDone {
		control(fd, toHost, getStatus, 0, status)
		if status[0] != 0 {
			check(fmt.Errorf("%v", status), "status")
		}
		time.Sleep(time.Duration(int(status[1])|int(status[2])<<8) * time.Millisecond)
	}
}

func downloadBlock(fd int, value uint16, data []byte) {
	buffer := make([]byte, 8+len(data))
	copy(buffer, []byte{toInterface, dnload, byte(value), byte(value >> 8), 0, 0,
		byte(len(data)), byte(len(data) >> 8)})
	copy(buffer[8:], data)
	block := &urb{kind: urbControl, buffer: unsafe.Pointer(&buffer[0]), bufferLength: int32(len(buffer))}
	_, err := ioctl(fd, ioctlSubmit, unsafe.Pointer(block))
	check(err, "submit")
	done := make(chan error)
	go func() {
		var ended *urb
		_, err := ioctl(fd, ioctlReap, unsafe.Pointer(&ended))
		if err == nil && (ended != block || block.status != 0 || int(block.actualLength) != len(data)) {
			err = fmt.Errorf("status %d, %d bytes", block.status, block.actualLength)
		}
		done <- err
	}()
	runtime.GC()
	check(<-done, "block")
	runtime.KeepAlive(buffer)
	awaitDone(fd)
}

func command(fd int, code byte, address uint32) {
	downloadBlock(fd, 0, []byte{code, byte(address), byte(address >> 8), byte(address >> 16),
		byte(address >> 24)})
}

func main() {
	fd := openBoard(os.Args[1])
	parsed, err := strconv.ParseUint(os.Args[3], 0, 32)
	check(err, "address")
	address := uint32(parsed)
	switch os.Args[2] {
	case "download":
		data, err := os.ReadFile(os.Args[4])
		check(err, os.Args[4])
		command(fd, erase, address)
		command(fd, setAddress, address)
		for at := 0; at < len(data); at += blockSize {
			end := at + blockSize
			if end > len(data) {
				end = len(data)
			}
			downloadBlock(fd, uint16(2+at/blockSize), data[at:end])
		}
	case "upload":
		size, err := strconv.Atoi(os.Args[4])
		check(err, "size")
		command(fd, setAddress, address)
		control(fd, toInterface, abort, 0, nil)
		data := make([]byte, size)
		for at := 0; at < size; at += blockSize {
			end := at + blockSize
			if end > size {
				end = size
			}
			control(fd, toHost, upload, uint16(2+at/blockSize), data[at:end])
		}
		check(os.WriteFile(os.Args[5], data, 0644), os.Args[5])
	}
}
