/* Compiled inner loops, optional: mr_ml runs without them on plain numpy and scipy, with the same bits.
 *
 * Every function works on buffers that the caller allocated (numpy arrays through the buffer protocol) and checks
 * their sizes. Floating-point additions happen in the order in which scipy's kernels do them, one rounding each: all
 * of it is compiled with -ffp-contract=off. `mr_ml.data.kernels` says what the functions do.
 */
#ifndef MR_ML_NATIVE_H
#define MR_ML_NATIVE_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight digits are read as one little-endian word; mr_ml does without these files elsewhere"
#endif

/* Simple loops that are several times faster with the wider registers of newer processors, with the same bits: which
 * version runs is decided when the module is loaded. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define EACH_PROCESSOR
#endif

/* The same for words of bits, of which newer processors count zeros in one step. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define EACH_GENERATION __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define EACH_GENERATION
#endif

/* The same for products of 64-bit integers, of which only the widest registers do several at once. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define MULTIPLIES_64 __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define MULTIPLIES_64
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))
/* What is rare leaves the registers to what is not. */
#define NOT_INLINE __attribute__((noinline))

/* The functions of each file. */
extern PyMethodDef libsvm_methods[];
extern PyMethodDef csv_methods[];
extern PyMethodDef row_methods[];
extern PyMethodDef product_methods[];
extern PyMethodDef column_methods[];
extern PyMethodDef narrow_methods[];
extern PyMethodDef write_methods[];
extern PyMethodDef crc_methods[];

/* To be called once before crc_methods are used. */
void fill_crc(void);

typedef struct {
    Py_buffer view;
    int held;
} Buffer;

/* itemsize 0: any. Returns 0 and sets an exception if the object is no contiguous buffer of these items. */
static inline int acquire(PyObject *object, Buffer *buffer, Py_ssize_t itemsize, int writable)
{
    buffer->held = 0;
    if (PyObject_GetBuffer(object, &buffer->view, writable ? PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE : PyBUF_C_CONTIGUOUS))
        return 0;
    buffer->held = 1;
    if (itemsize && buffer->view.itemsize != itemsize) {
        PyErr_Format(PyExc_TypeError, "expected items of %zd bytes, found %zd", itemsize, buffer->view.itemsize);
        return 0;
    }
    return 1;
}

static inline void release(Buffer *buffers, int n)
{
    for (int k = 0; k < n; k++)
        if (buffers[k].held)
            PyBuffer_Release(&buffers[k].view);
}

static inline Py_ssize_t items(const Buffer *buffer)
{
    return buffer->view.len / buffer->view.itemsize;
}

/* Numbers in few bytes each, as mr_ml.data.narrow makes them: floats, or integers over a scale. Ids: uint16 or int32.
 *
 * An integer i over the scale is i * share + i * rest, rounded, which takes a fraction of the time of a division and has
 * the same bits: share is the scale's reciprocal in 22 bits, so that its product with 31 bits is exact, and rest what
 * is left of it. In units of the last place the sum is off by less than 3e-7 before it is rounded, while i / 10^p is at
 * least 1 / (2 * 5^p) from where rounding changes, which is more for p up to 9. */
typedef struct {
    const void *items;
    Py_ssize_t size;
    int is_float;
    double share, rest;
} Held;

static inline Held held_values(const Buffer *buffer, int is_float, double scale)
{
    double reciprocal = 1 / scale, spread = reciprocal * 2147483649.0, share = spread - (spread - reciprocal);
    return (Held){buffer->view.buf, buffer->view.itemsize, is_float, share, (1 - share * scale) / scale};
}

static inline Held held_ids(const Buffer *buffer)
{
    return (Held){buffer->view.buf, buffer->view.itemsize, 0, 1, 0};
}

static inline int are_values(const Held *held)
{
    return held->size == 4 || (held->is_float ? held->size == 8 : held->size == 1 || held->size == 2);
}

static inline int are_ids(const Held *held)
{
    return held->size == 2 || held->size == 4;
}

/* Numbers first to first + n - 1, in full. */
void widen_values(const Held *held, Py_ssize_t first, Py_ssize_t n, double *restrict out);
void widen_ids(const Held *held, Py_ssize_t first, Py_ssize_t n, int32_t *restrict out);

/* Entries of rows: row r's go up to ends[r]. shared: there are indices of one row only, which are those of all. */
typedef struct {
    Buffer ends, indices, values;
    Held ids, numbers;
    int shared;
} Entries;

/* Of mr_ml.data.kernels.Entries.given(). Returns 0 and sets an exception if the arrays do not fit together; what is in ends
 * remains to be checked. To be closed in any case, so all zero before. */
int open_entries(PyObject *item, Entries *e);
void close_entries(Entries *e);

#endif
