#include "base/arena.h"

#include "tests/lib/test.h"

TEST_CASE(an_empty_arena_holds_next_to_nothing)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_int_equal(arena_used(arena), 0);
    assert_true(arena_held(arena) <= 64);
    arena_free(NULL);
}

TEST_CASE(memory_is_zeroed_and_aligned_whatever_the_size)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 1000, 1024, 5000, 70000, 3, 200000, 8};
    AUTO(arena) struct arena *arena = arena_new(0);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            unsigned char *memory = arena_alloc(arena, sizes[i]);
            assert_int_equal((uintptr_t)memory % 16, 0);
            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(memory[j], 0);
            if (sizes[i])
                memset(memory, 0xff, sizes[i]);
            assert_string_equal(arena_strdup(arena, "abc"), "abc");
        }
    }
}

TEST_CASE(no_two_allocations_overlap)
{
    AUTO(arena) struct arena *arena = arena_new(100);
    enum { COUNT = 300 };
    unsigned char *memory[COUNT];
    char *texts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        memory[i] = arena_alloc(arena, i);
        if (i)
            memset(memory[i], (int)(i & 0xff), i);
        texts[i] = arena_printf(arena, "text %zu", i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < i; j++)
            assert_int_equal(memory[i][j], i & 0xff);
        AUTO(free) char *want = xasprintf("text %zu", i);
        assert_string_equal(texts[i], want);
    }
}

TEST_CASE(short_texts_cost_their_bytes_only)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_strdup(arena, "ab"));
    assert_int_equal(arena_used(arena), 300);
    assert_true(arena_held(arena) < 1200);
}

TEST_CASE(a_large_allocation_leaves_the_current_block_in_use)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    char *before = arena_alloc(arena, 16);
    assert_non_null(arena_alloc(arena, 1 * MiB));
    size_t held = arena_held(arena);
    char *after = arena_alloc(arena, 16);
    assert_ptr_equal(after, before + 16);
    assert_int_equal(arena_held(arena), held);
}

TEST_CASE(blocks_grow_so_that_little_is_wasted)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (int i = 0; i < 100000; i++)
        assert_non_null(arena_alloc(arena, 32));
    assert_int_equal(arena_used(arena), 3200000);
    assert_true(arena_held(arena) < 3200000 + 70000);
}

TEST_CASE(copies_are_bounded_and_terminated)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_null(arena_strdup(arena, NULL));
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(arena, "ab", 3), "ab");
    assert_string_equal(arena_strndup(arena, "ab", 0), "");
    const char unterminated[3] = {'x', 'y', 'z'};
    assert_string_equal(arena_strndup(arena, unterminated, 3), "xyz");
    assert_memory_equal(arena_memdup(arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(arena_memdup(arena, NULL, 0));
    int *numbers = arena_calloc(arena, 10, sizeof(int));
    assert_int_equal(numbers[9], 0);
}

TEST_CASE(only_letters_of_ascii_become_lower_case)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_string_equal(arena_strlower(arena, str_from("AZ-az09[\xc3\x84")), "az-az09[\xc3\x84");
    assert_string_equal(arena_strlower(arena, (struct str){0}), "");
}

TEST_MAIN(TEST(only_letters_of_ascii_become_lower_case), TEST(an_empty_arena_holds_next_to_nothing),
          TEST(memory_is_zeroed_and_aligned_whatever_the_size), TEST(no_two_allocations_overlap),
          TEST(short_texts_cost_their_bytes_only),
          TEST(a_large_allocation_leaves_the_current_block_in_use),
          TEST(blocks_grow_so_that_little_is_wasted), TEST(copies_are_bounded_and_terminated))
