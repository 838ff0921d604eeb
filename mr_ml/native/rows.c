/* Hashes of rows, and rows by number. */
#include "native.h"

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

PyDoc_STRVAR(hash_entries_doc, "hash_entries(start, column, indptr, indices, values, out)\n\n"
                               "out[i] = sum over row i's entries of mix(value bits + start + (id + 1) column).");

static PyObject *hash_entries(PyObject *self, PyObject *args)
{
    PyObject *objects[4];
    unsigned long long start, column;
    (void)self;
    if (!PyArg_ParseTuple(args, "KKOOOO", &start, &column, &objects[0], &objects[1], &objects[2], &objects[3]))
        return NULL;
    static const Py_ssize_t sizes[4] = {8, 4, 8, 8};
    Buffer b[4] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 4; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k == 3))
            goto done;
    const int64_t *indptr = b[0].view.buf;
    const int32_t *indices = b[1].view.buf;
    const uint64_t *values = b[2].view.buf;
    uint64_t *out = b[3].view.buf;
    Py_ssize_t n = items(&b[3]), nnz = items(&b[1]);
    if (items(&b[0]) != n + 1 || items(&b[2]) != nnz) {
        PyErr_SetString(PyExc_ValueError, "indptr, indices, values and out do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        if (indptr[i] < 0 || indptr[i + 1] > nnz) {
            PyErr_SetString(PyExc_ValueError, "indptr points outside the entries");
            goto done;
        }
        for (int64_t k = indptr[i]; k < indptr[i + 1]; k++)
            sum += mix(values[k] + start + ((uint64_t)(int64_t)indices[k] + 1) * column);
        out[i] = sum;
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 4);
    return result;
}

PyDoc_STRVAR(take_rows_doc, "take_rows(rows, indptr, indices, values, new_indptr, new_indices, new_values)\n\n"
                            "Copy the entries of the given rows, in that order.");

static PyObject *take_rows(PyObject *self, PyObject *args)
{
    PyObject *objects[7];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4],
                          &objects[5], &objects[6]))
        return NULL;
    static const Py_ssize_t sizes[7] = {8, 8, 4, 8, 8, 4, 8};
    Buffer b[7] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 7; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 4))
            goto done;
    const int64_t *rows = b[0].view.buf, *indptr = b[1].view.buf;
    const int32_t *indices = b[2].view.buf;
    const double *values = b[3].view.buf;
    int64_t *new_indptr = b[4].view.buf, at = 0;
    int32_t *new_indices = b[5].view.buf;
    double *new_values = b[6].view.buf;
    Py_ssize_t n = items(&b[0]), n_all = items(&b[1]) - 1, nnz = items(&b[2]), room = items(&b[5]);
    if (items(&b[3]) != nnz || items(&b[4]) != n + 1 || items(&b[6]) != room) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    new_indptr[0] = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t row = rows[i], first, count;
        if (row < 0 || row >= n_all || (first = indptr[row]) < 0 || (count = indptr[row + 1] - first) < 0 ||
            first + count > nnz || at + count > room) {
            PyErr_SetString(PyExc_ValueError, "a row or its entries are out of range");
            goto done;
        }
        memcpy(new_indices + at, indices + first, (size_t)count * sizeof *indices);
        memcpy(new_values + at, values + first, (size_t)count * sizeof *values);
        new_indptr[i + 1] = at += count;
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 7);
    return result;
}

PyMethodDef row_methods[] = {
    {"hash_entries", hash_entries, METH_VARARGS, hash_entries_doc},
    {"take_rows", take_rows, METH_VARARGS, take_rows_doc},
    {NULL, NULL, 0, NULL},
};
