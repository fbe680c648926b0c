/*
 * Blocks are chained, the newest first; only the newest is filled, a large allocation gets a block
 * of its own behind it. Within a block objects grow from the front, 16-byte aligned, and texts from
 * the back, unaligned: a decoded Pod is mostly short texts, and padding each to 16 bytes would cost
 * more than the blocks' headers. Blocks come zeroed from calloc() and no byte is handed out twice,
 * so nothing is cleared here.
 */
#include "base/arena.h"

#include <stdio.h>

#define ALIGNMENT ((size_t)16)
#define DEFAULT_FIRST_BLOCK (1 * KiB)
/* Doubling stops here: beyond it a half-empty last block would cost more than a longer chain. */
#define MAX_GROWN_BLOCK (64 * KiB)
/* The allocator's own header; with it a block fills a power of two. */
#define MALLOC_OVERHEAD ((size_t)16)

struct block {
    struct block *older;
    size_t capacity;
    size_t front; /* first free byte */
    size_t back;  /* end of the free bytes */
    _Alignas(16) char bytes[];
};
_Static_assert(sizeof(struct block) % 16 == 0, "the bytes after the header must stay aligned");

struct arena {
    struct block *newest; /* owned chain */
    size_t next_block;    /* size of the next regular block, with all headers */
    size_t used;
    size_t held;
};

struct arena *arena_new(size_t first_block_bytes)
{
    struct arena *arena = xcalloc(1, sizeof(*arena));
    size_t floor = sizeof(struct block) + MALLOC_OVERHEAD + ALIGNMENT;
    arena->next_block = first_block_bytes ? first_block_bytes : DEFAULT_FIRST_BLOCK;
    if (arena->next_block < floor)
        arena->next_block = floor;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    struct block *block = arena->newest;
    while (block) {
        struct block *older = block->older;
        free(block);
        block = older;
    }
    free(arena);
}

static struct block *block_new(struct arena *arena, size_t capacity)
{
    size_t total;
    if (!add_size(sizeof(struct block), capacity, &total))
        base_die("out of memory: an arena cannot hold %zu bytes", capacity);
    struct block *block = xcalloc(1, total);
    block->capacity = capacity;
    block->back = capacity;
    arena->held += total;
    return block;
}

/* A block that holds @size: a fresh regular one, or one of its own when that would waste too much.
 */
static struct block *block_for(struct arena *arena, size_t size)
{
    size_t regular =
        (arena->next_block - sizeof(struct block) - MALLOC_OVERHEAD) & ~(ALIGNMENT - 1);
    if (size > regular / 2 && (arena->newest || size > regular)) {
        size_t rounded;
        if (!add_size(size, ALIGNMENT - 1, &rounded))
            base_die("out of memory: an arena cannot hold %zu bytes", size);
        struct block *own = block_new(arena, rounded & ~(ALIGNMENT - 1));
        if (arena->newest) {
            own->older = arena->newest->older;
            arena->newest->older = own;
        } else {
            arena->newest = own;
        }
        return own;
    }
    struct block *block = block_new(arena, regular);
    block->older = arena->newest;
    arena->newest = block;
    if (arena->next_block < MAX_GROWN_BLOCK)
        arena->next_block *= 2;
    return block;
}

static struct block *room_for(struct arena *arena, size_t size)
{
    struct block *block = arena->newest;
    if (block && size <= block->back - block->front)
        return block;
    return block_for(arena, size);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded;
    if (!add_size(size ? size : 1, ALIGNMENT - 1, &rounded))
        base_die("out of memory: an arena cannot hold %zu bytes", size);
    rounded &= ~(ALIGNMENT - 1);
    struct block *block = room_for(arena, rounded);
    void *memory = block->bytes + block->front;
    block->front += rounded;
    arena->used += rounded;
    return memory;
}

/* Texts and other bytes without alignment. */
static char *alloc_bytes(struct arena *arena, size_t size)
{
    struct block *block = room_for(arena, size);
    block->back -= size;
    arena->used += size;
    return block->bytes + block->back;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (!mul_size(count, size, &total))
        base_die("out of memory: an arena cannot hold %zu objects of %zu bytes", count, size);
    return arena_alloc(arena, total);
}

static char *copy_text(struct arena *arena, const char *text, size_t len)
{
    char *copy = alloc_bytes(arena, len + 1);
    memcpy(copy, text, len); /* the block's zeroes terminate it */
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? copy_text(arena, text, strlen(text)) : NULL;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    return copy_text(arena, text, strnlen(text, len));
}

char *arena_strlower(struct arena *arena, struct str text)
{
    char *copy = arena_strndup(arena, text.ptr ? text.ptr : "", text.len);
    for (char *c = copy; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        base_die("cannot format \"%s\"", format);
    char *text = alloc_bytes(arena, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, format, args); /* as long as it was just now */
    return text;
}

void *arena_memdup(struct arena *arena, const void *memory, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (size)
        memcpy(copy, memory, size);
    return copy;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}

size_t arena_held(const struct arena *arena)
{
    return arena->held + sizeof(*arena);
}
