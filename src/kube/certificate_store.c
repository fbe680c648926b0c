#include "kube/certificate_store.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_MODE 0600
#define DIR_MODE 0755
#define STAMP_SIZE 64 /* "-2026-11-21-03-24-00.pem", and years to come */

enum kind { KIND_NONE, KIND_LINK, KIND_OTHER };

static char *path_of(const struct certificate_place *place, const char *suffix)
{
    AUTO(free) char *name = xasprintf("%s%s", place->prefix, suffix);
    return path_join(place->dir, name);
}

static struct error *kind_of(const char *path, enum kind *ret)
{
    struct stat info;
    if (lstat(path, &info) == 0) {
        *ret = S_ISLNK(info.st_mode) ? KIND_LINK : KIND_OTHER;
        return NULL;
    }
    if (errno != ENOENT)
        return error_from_errno(errno, "stat %s", path);
    *ret = KIND_NONE;
    return NULL;
}

/* --- reading --- */

/* A kubelet takes the old link away before it puts the new one there. */
static struct error *finish_switch(const struct certificate_place *place)
{
    AUTO(free) char *current = path_of(place, "-current.pem");
    AUTO(free) char *updated = path_of(place, "-updated.pem");
    enum kind current_kind = KIND_NONE, updated_kind = KIND_NONE;
    struct error *err = kind_of(current, &current_kind);
    if (!err)
        err = kind_of(updated, &updated_kind);
    if (err || current_kind != KIND_NONE || updated_kind != KIND_LINK)
        return err;
    return rename(updated, current) == 0
               ? NULL
               : error_from_errno(errno, "rename %s to %s", updated, current);
}

/* Both files, or NOT_FOUND when one is missing; @pem is as it was then. */
static struct error *load_files(const char *cert_file, const char *key_file, struct buf *pem)
{
    AUTO(buf) struct buf key = {0};
    size_t before = pem->len;
    buf_init(&key, CERTIFICATE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(cert_file, pem);
    if (!err)
        err = fd_read_file_blocking(key_file, &key);
    if (!err) {
        buf_add_char(pem, '\n');
        buf_add_str(pem, buf_str(&key));
        err = buf_error(pem, key_file);
    }
    if (key.data)
        explicit_bzero(key.data, key.len);
    if (err)
        buf_truncate(pem, before);
    return err;
}

static bool is_missing(struct error **err)
{
    if (!error_is(*err, ERROR_NOT_FOUND))
        return false;
    error_ignore(TAKE(*err), "the next place is looked at");
    return true;
}

struct error *certificate_store_load_blocking(const struct certificate_place *place,
                                              struct buf *pem)
{
    struct error *err = finish_switch(place);
    if (err)
        return err;
    AUTO(free) char *current = path_of(place, "-current.pem");
    err = fd_read_file_blocking(current, pem);
    if (!is_missing(&err))
        return err;
    if (place->cert_file && place->cert_file[0] && place->key_file && place->key_file[0]) {
        err = load_files(place->cert_file, place->key_file, pem);
        if (!is_missing(&err))
            return err;
    }
    AUTO(free) char *cert_file = path_of(place, ".crt");
    AUTO(free) char *key_file = path_of(place, ".key");
    err = load_files(cert_file, key_file, pem);
    if (!is_missing(&err))
        return err;
    return error_new(ERROR_NOT_FOUND, "no cert/key files read at %s, (%s, %s) or (%s, %s)", current,
                     place->cert_file ? place->cert_file : "",
                     place->key_file ? place->key_file : "", cert_file, key_file);
}

/* --- writing --- */

static char *new_path(const struct certificate_place *place, int64_t now_wall_ns)
{
    time_t now_s = (time_t)(now_wall_ns / NS_PER_SEC);
    struct tm parts = {0};
    char stamp[STAMP_SIZE] = "-new.pem"; /* for a time that has no text */
    if (localtime_r(&now_s, &parts))
        (void)strftime(stamp, sizeof(stamp), "-%Y-%m-%d-%H-%M-%S.pem", &parts);
    return path_of(place, stamp);
}

static struct error *sync_dir(const char *path)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return error_from_errno(errno, "fsync %s", path);
    return NULL;
}

static struct error *switch_to(const struct certificate_place *place, const char *target)
{
    AUTO(free) char *current = path_of(place, "-current.pem");
    AUTO(free) char *updated = path_of(place, "-updated.pem");
    enum kind kind = KIND_NONE;
    struct error *err = kind_of(current, &kind);
    if (err)
        return err;
    if (kind == KIND_OTHER)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "expected %s to be a symlink but it is a file; it is left alone", current);
    if (unlink(updated) != 0 && errno != ENOENT)
        return error_from_errno(errno, "remove %s", updated);
    if (symlink(target, updated) != 0)
        return error_from_errno(errno, "link %s", updated);
    if (rename(updated, current) != 0)
        return error_from_errno(errno, "rename %s to %s", updated, current);
    return sync_dir(place->dir);
}

struct error *certificate_store_save_blocking(const struct certificate_place *place, struct str pem,
                                              int64_t now_wall_ns)
{
    AUTO(free) char *path = new_path(place, now_wall_ns);
    struct error *err = fd_mkdir_all(place->dir, DIR_MODE);
    if (!err)
        err = fd_replace_file_blocking(path, pem, FILE_MODE);
    return err ? err : switch_to(place, path);
}
