#include "pod/file_scan.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/path.h"
#include "pod/static_pod.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define MANIFEST_MAX_BYTES (10 * MiB) /* pkg/kubelet/config/common.go: maxConfigLength */
#define MANIFEST_MAX_FILES 4096

static void scanned_done(struct scanned_file *file)
{
    free(file->name);
    pod_object_unref(file->object);
    error_free(file->err);
}

struct file_scan *file_scan_new(const char *path, const char *node_name, int64_t now_ns)
{
    struct file_scan *scan = xcalloc(1, sizeof(*scan));
    scan->path = xstrdup(path);
    scan->node_name = xstrdup(node_name);
    scan->now_ns = now_ns;
    return scan;
}

void file_scan_free(void *scan)
{
    struct file_scan *it = scan;
    for (size_t i = 0; i < it->count; i++)
        scanned_done(&it->files[i]);
    free(it->files);
    free(it->path);
    free(it->node_name);
    error_free(it->err);
    free(it);
}

void file_scan_add(struct file_scan *scan, const char *name, const struct file_mark *mark)
{
    static const struct file_mark unread = {.size = FILE_MARK_UNREAD};
    for (size_t i = 0; i < scan->count; i++) {
        if (strcmp(scan->files[i].name, name) == 0)
            return;
    }
    scan->files = xrealloc(scan->files, (scan->count + 1) * sizeof(*scan->files));
    scan->files[scan->count++] =
        (struct scanned_file){.name = xstrdup(name), .mark = mark ? *mark : unread};
}

/* Everything in the folder that does not begin with a dot; no filter on extensions (spec pods.md
 * §1.2). */
static struct error *list_folder(struct file_scan *scan)
{
    DIR *entries = opendir(scan->path);
    if (!entries)
        return error_from_errno(errno, "reading static pod path %s", scan->path);
    const struct dirent *entry;
    while ((entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (entry->d_name[0] == '.' || scan->count >= MANIFEST_MAX_FILES)
            continue;
        file_scan_add(scan, entry->d_name, NULL);
    }
    closedir(entries);
    return NULL;
}

static struct file_mark mark_of(const struct stat *info, const struct file_mark *known)
{
    return (struct file_mark){.mtime_ns = (int64_t)info->st_mtim.tv_sec * NS_PER_SEC +
                                          info->st_mtim.tv_nsec,
                              .size = info->st_size,
                              .inode = info->st_ino,
                              .has_content = known->has_content,
                              .content_high = known->content_high,
                              .content_low = known->content_low};
}

static bool same_file(const struct file_mark *a, const struct file_mark *b)
{
    return a->mtime_ns == b->mtime_ns && a->size == b->size && a->inode == b->inode;
}

/* True when @text is what was read last; if not, it is noted as that. */
static bool same_content(struct file_mark *mark, struct str text)
{
    struct hash128 content = hash_fnv1a_128(text.ptr, text.len);
    bool same =
        mark->has_content && content.high == mark->content_high && content.low == mark->content_low;
    mark->has_content = true;
    mark->content_high = content.high;
    mark->content_low = content.low;
    return same;
}

static bool is_too_large(const struct error *err)
{
    return err->code == ERROR_RESOURCE_EXHAUSTED && err->os_errno == 0;
}

static void read_file(const struct file_scan *scan, struct scanned_file *file, const char *path)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, MANIFEST_MAX_BYTES - 1);
    file->err = fd_read_file_blocking(path, &text);
    if (file->err && is_too_large(file->err)) {
        error_free(file->err);
        file->err = error_new(ERROR_RESOURCE_EXHAUSTED, "%s: the read limit is reached", path);
        return;
    }
    if (file->err) {
        file->mark.size = FILE_MARK_UNREAD; /* the next try may succeed though nothing changed */
        return;
    }
    if (str_trim(buf_str(&text)).len == 0) {
        file->err = error_new(ERROR_INVALID_ARGUMENT, "%s: the file is empty", path);
        return;
    }
    file->unchanged = same_content(&file->mark, buf_str(&text));
    struct static_pod_input input = {.text = buf_str(&text),
                                     .path = path,
                                     .node_name = scan->node_name,
                                     .seen_ns = scan->now_ns};
    if (!file->unchanged)
        file->err = static_pod_read(&input, &file->object);
}

static void scan_file(const struct file_scan *scan, struct scanned_file *file)
{
    AUTO(free)
    char *path = file->name[0] != '\0' ? path_join(scan->path, file->name) : xstrdup(scan->path);
    struct stat info;
    if (stat(path, &info) < 0) {
        file->gone = errno == ENOENT || errno == ENOTDIR;
        if (!file->gone)
            file->err = error_from_errno(errno, "reading %s", path);
        return;
    }
    if (!S_ISREG(info.st_mode)) {
        file->gone = true;
        return;
    }
    struct file_mark mark = mark_of(&info, &file->mark);
    file->unchanged = same_file(&mark, &file->mark);
    file->mark = mark;
    if (!file->unchanged)
        read_file(scan, file, path);
}

void file_scan_run_blocking(void *scan)
{
    struct file_scan *it = scan;
    struct stat info;
    if (stat(it->path, &info) < 0) {
        it->missing = errno == ENOENT;
        if (!it->missing)
            it->err = error_from_errno(errno, "reading static pod path %s", it->path);
        return;
    }
    if (S_ISDIR(info.st_mode)) {
        if (it->all)
            it->err = list_folder(it);
    } else if (S_ISREG(info.st_mode)) {
        file_scan_add(it, "", NULL);
    } else {
        it->err = error_new(ERROR_INVALID_ARGUMENT,
                            "static pod path %s is neither a folder nor a regular file", it->path);
    }
    for (size_t i = 0; !it->err && i < it->count; i++)
        scan_file(it, &it->files[i]);
}
