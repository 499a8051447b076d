#include "emulator/capture_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "usb-gadget/capture.h"

#define HEAD_SIZE   sizeof(pcap_usb_header_mmapped)
#define RECORD_MAX  (HEAD_SIZE + CAPTURE_DATA_MAX)
#define BUFFER_SIZE ((size_t)64 << 10)
/* Of a record's id: the port's number stands above the transfer's. */
#define PORT_SHIFT 48

struct source {
    struct source *next;
    struct capture_file *file;
    uint16_t bus;
    uint64_t id; /* of its transfer 0 */
};

/* libpcap, loaded only for a capture: with the libraries that it needs itself it would take a fifth
 * of the time of `vphoton run -- true`. */
struct library {
    void *handle;
    __typeof__(pcap_open_dead) *open_dead;
    __typeof__(pcap_close) *close;
    __typeof__(pcap_dump_fopen) *dump_fopen;
    __typeof__(pcap_dump) *dump;
};

struct capture_file {
    const char *path;
    struct library library;
    pcap_t *format;
    FILE *out;
    pcap_dumper_t *dumper;  /* owns `out` */
    bool filled;            /* something may not be in the file yet */
    int error;              /* why writing ended early; 0: it did not */
    struct source *sources; /* the latest first */
    uint8_t record[RECORD_MAX];
};

/* --- libpcap --- */

static bool find(const struct library *library, const char *name, void *function)
{
    void *found = dlsym(library->handle, name);
    memcpy(function, &found, sizeof found);
    return found;
}

static bool load(struct library *library)
{
    /* Debian's name and everybody else's. */
    library->handle = dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL);
    if (!library->handle) {
        library->handle = dlopen("libpcap.so.1", RTLD_NOW | RTLD_LOCAL);
    }
    return library->handle && find(library, "pcap_open_dead", &library->open_dead) &&
           find(library, "pcap_close", &library->close) &&
           find(library, "pcap_dump_fopen", &library->dump_fopen) &&
           find(library, "pcap_dump", &library->dump);
}

/* --- the file --- */

static void release(struct capture_file *file)
{
    while (file->sources) {
        struct source *source = file->sources;
        file->sources = source->next;
        free(source);
    }
    if (file->out) {
        fclose(file->out);
    }
    if (file->format) {
        file->library.close(file->format);
    }
    if (file->library.handle) {
        dlclose(file->library.handle);
    }
    free(file);
}

static bool begin(struct capture_file *file, struct complaint *complaint)
{
    if (!load(&file->library)) {
        return complain(complaint, "%s: cannot write a capture: %s", file->path, dlerror());
    }
    file->format = file->library.open_dead(DLT_USB_LINUX_MMAPPED, RECORD_MAX);
    if (!file->format) {
        return complain(complaint, "memory is short");
    }
    file->out = fopen(file->path, "we");
    /* The head of the file goes out at once, so that a bad place is known before the work. */
    if (file->out && setvbuf(file->out, NULL, _IOFBF, BUFFER_SIZE) == 0) {
        file->dumper = file->library.dump_fopen(file->format, file->out);
    }
    return (file->dumper && fflush(file->out) == 0) ||
           complain(complaint, "%s: cannot write: %s", file->path, strerror(errno));
}

struct capture_file *capture_file_open(const char *path, struct complaint *complaint)
{
    struct capture_file *file = calloc(1, sizeof *file);
    if (!file) {
        complain(complaint, "memory is short");
        return NULL;
    }
    file->path = path;
    if (!begin(file, complaint)) {
        release(file);
        return NULL;
    }
    return file;
}

void capture_file_flush(struct capture_file *file)
{
    if (file->filled && !file->error && fflush(file->out) != 0) {
        file->error = errno;
    }
    file->filled = false;
}

bool capture_file_close(struct capture_file *file, struct complaint *complaint)
{
    if (!file) {
        return true;
    }
    capture_file_flush(file);
    if (fclose(file->out) != 0 && !file->error) {
        file->error = errno;
    }
    file->out = NULL;
    if (file->error) {
        complain(complaint, "%s: cannot write all of the capture: %s", file->path,
                 strerror(file->error));
    }
    bool whole = !file->error;
    release(file);
    return whole;
}

/* --- records --- */

static void take_down(void *context, const struct root_port *port, const struct transfer *transfer,
                      bool ended)
{
    const struct source *source = context;
    struct capture_file *file = source->file;
    struct capture_record record;
    if (file->error) {
        return;
    }
    capture_record(port, transfer, ended, source->bus, source->id + transfer->number, &record);
    memcpy(file->record, &record.head, HEAD_SIZE);
    if (record.data) {
        memcpy(file->record + HEAD_SIZE, record.data, record.head.data_len);
    }
    size_t cut = record.data ? record.head.urb_len - record.head.data_len : 0;
    const struct pcap_pkthdr head = {
        .ts = {.tv_sec = record.head.ts_sec, .tv_usec = record.head.ts_usec},
        .caplen = (bpf_u_int32)HEAD_SIZE + record.head.data_len,
        .len = (bpf_u_int32)(HEAD_SIZE + record.head.data_len + cut),
    };
    file->library.dump((u_char *)file->dumper, &head, file->record);
    file->filled = true;
    if (ferror(file->out)) {
        file->error = errno;
    }
}

bool capture_file_watch(struct capture_file *file, struct root_port *port, uint16_t bus)
{
    struct source *source = calloc(1, sizeof *source);
    if (!source) {
        return false;
    }
    uint64_t above = file->sources ? file->sources->id : 0;
    *source = (struct source){
        .next = file->sources,
        .file = file,
        .bus = bus,
        .id = above + (UINT64_C(1) << PORT_SHIFT),
    };
    file->sources = source;
    port->on_transfer = take_down;
    port->on_transfer_context = source;
    return true;
}
