/* Compiled inner loops, optional: mr_ml runs without them on plain numpy and scipy, with the same bits.
 *
 * Every function works on buffers that the caller allocated (numpy arrays through the buffer protocol) and checks
 * their sizes. Floating-point additions happen in the order in which scipy's kernels do them, one rounding each: all
 * of it is compiled with -ffp-contract=off. `mr_ml.kernels` says what the functions do.
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

/* The same for products of 64-bit integers, of which only the widest registers do several at once. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define MULTIPLIES_64 __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define MULTIPLIES_64
#endif

/* The functions of each file. */
extern PyMethodDef libsvm_methods[];
extern PyMethodDef csv_methods[];
extern PyMethodDef row_methods[];
extern PyMethodDef product_methods[];
extern PyMethodDef column_methods[];
extern PyMethodDef narrow_methods[];
extern PyMethodDef write_methods[];
extern PyMethodDef crc_methods[];

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

#endif
