# cython: language_level=3, binding=False
"""The express lane of `rpcnb.wire.short` for one frame at a time, in C: calls, results, and handles given up.

A call that is alone finds the nearest caches full of other code, and what counts there is how much
code it runs. This is a tenth of what `map`, `set`, `struct` and msgpack run for the same bytes.

Rules for this file: it takes what is usual and says None to the rest, which then goes the way it
goes where nothing is compiled. What it takes comes out as there, byte for byte and value for value.
Nothing is read that was not received, and nothing nests. Counts stay below 16, and lengths below a
header's, so whoever calls has nothing else to limit.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from sys import intern as _intern

from rpcnb.core.values import TypeCode
from rpcnb.wire.codec import FORMAT_ERRORS

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* nbytes) except NULL
    object PyUnicode_DecodeUTF8(const char* data, Py_ssize_t nbytes, const char* errors)

cdef enum:
    CAPACITY = 4224  # `SHORT_NBYTES`
    FIXED_NBYTES = 36
    CALL_FUNC = 0x02
    RETURN = 0x11
    FREE_HANDLES = 0x22
    MOST = 15  # items of a list or a dict whose length is in its first byte
    REF_NBYTES = 1024  # of what is said of a ref that is a result

cdef object UNUSUAL = object()
cdef dict NO_KWARGS = {}
cdef int64_t LAST_TYPE_CODE = max(TypeCode)


# --- encoding --------------------------------------------------------------------------------------

cdef struct Space:
    uint8_t* at
    uint8_t* end


cdef bint put_tagged(Space* space, uint8_t tag, uint64_t bits, int nbytes) noexcept:
    """Put a tag and a number of some bytes, the highest first; False where there is no room."""
    cdef int shift
    if space.end - space.at < 1 + nbytes:
        return False
    space.at[0] = tag
    space.at += 1
    for shift in range(8 * (nbytes - 1), -1, -8):
        space.at[0] = <uint8_t>(bits >> shift)
        space.at += 1
    return True


cdef bint put_data(Space* space, const char* data, Py_ssize_t nbytes) noexcept:
    if space.end - space.at < nbytes:
        return False
    memcpy(space.at, data, nbytes)
    space.at += nbytes
    return True


cdef bint put_int(Space* space, object value):
    cdef int overflow
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    cdef uint64_t bits = <uint64_t>number
    if overflow:
        return False
    if -32 <= number < 128:
        return put_tagged(space, <uint8_t>bits, 0, 0)
    if number >= 0:
        if number < 1 << 8:
            return put_tagged(space, 0xCC, bits, 1)
        if number < 1 << 16:
            return put_tagged(space, 0xCD, bits, 2)
        return put_tagged(space, 0xCE, bits, 4) if number < <int64_t>1 << 32 else put_tagged(space, 0xCF, bits, 8)
    if number >= -(1 << 7):
        return put_tagged(space, 0xD0, bits, 1)
    if number >= -(1 << 15):
        return put_tagged(space, 0xD1, bits, 2)
    return put_tagged(space, 0xD2, bits, 4) if number >= -(<int64_t>1 << 31) else put_tagged(space, 0xD3, bits, 8)


cdef bint put_text(Space* space, object value):
    cdef Py_ssize_t nbytes
    cdef const char* data
    if len(<str>value) > space.end - space.at:  # before it is encoded, which a text keeps
        return False
    try:
        data = PyUnicode_AsUTF8AndSize(value, &nbytes)
    except UnicodeEncodeError:
        return False
    if nbytes < 32:
        return put_tagged(space, 0xA0 | <uint8_t>nbytes, 0, 0) and put_data(space, data, nbytes)
    if nbytes < 1 << 8:
        return put_tagged(space, 0xD9, nbytes, 1) and put_data(space, data, nbytes)
    return nbytes < 1 << 16 and put_tagged(space, 0xDA, nbytes, 2) and put_data(space, data, nbytes)


cdef bint put_bytes(Space* space, object value):
    cdef Py_ssize_t nbytes = PyBytes_GET_SIZE(value)
    cdef const char* data = PyBytes_AS_STRING(value)
    if nbytes < 1 << 8:
        return put_tagged(space, 0xC4, nbytes, 1) and put_data(space, data, nbytes)
    return nbytes < 1 << 16 and put_tagged(space, 0xC5, nbytes, 2) and put_data(space, data, nbytes)


cdef bint put_extension(Space* space, uint8_t code, const uint8_t* content, Py_ssize_t nbytes) noexcept:
    cdef uint8_t short_tag = 0xD4  # for 1 byte, and the next ones for 2, 4, 8 and 16
    cdef bint said
    if nbytes in (1, 2, 4, 8, 16):
        while nbytes >> (short_tag - 0xD4) != 1:
            short_tag += 1
        said = put_tagged(space, short_tag, code, 1)
    elif nbytes < 1 << 8:
        said = put_tagged(space, 0xC7, nbytes << 8 | code, 2)
    else:
        said = put_tagged(space, 0xC8, nbytes << 8 | code, 3)
    return said and put_data(space, <const char*>content, nbytes)


cdef bint put_ref(Space* space, uint8_t code, object handle):
    """Put an extension: a list of the handle alone."""
    cdef uint8_t content[10]
    cdef Space inner
    inner.at, inner.end = content, content + sizeof(content)
    if type(handle) is not int or not put_tagged(&inner, 0x91, 0, 0) or not put_int(&inner, handle):
        return False
    return put_extension(space, code, content, inner.at - content)


cdef bint put(Space* space, object value, dict codes):
    """Put a value; False for one that is not usual, or where there is no room."""
    cdef double real
    cdef uint64_t bits
    cls = type(value)
    if value is None:
        return put_tagged(space, 0xC0, 0, 0)
    if cls is int:
        return put_int(space, value)
    if cls is str:
        return put_text(space, value)
    if cls is float:
        real = value
        memcpy(&bits, &real, 8)
        return put_tagged(space, 0xCB, bits, 8)
    if cls is bool:
        return put_tagged(space, 0xC3 if value else 0xC2, 0, 0)
    if cls is bytes:
        return put_bytes(space, value)
    code = codes.get(cls)
    return code is not None and put_ref(space, code, value.handle)


def pack_call(object function, object args, object kwargs, Py_ssize_t most, dict codes):
    """Return the header of a call, as `ShortSending.quick_call` does; None for what is not usual.

    `most` is how long it may be [B]; `codes` holds the extension of each class of refs.
    """
    cdef uint8_t header[CAPACITY]
    cdef Space space
    space.at, space.end = header, header + min(most, <Py_ssize_t>CAPACITY)
    if type(function) is not int or function < 0 or type(args) is not tuple or type(kwargs) is not dict:
        return None
    if len(<tuple>args) > MOST or len(<dict>kwargs) > MOST:
        return None
    if not put_tagged(&space, 0x93 if kwargs else 0x92, 0, 0) or not put_int(&space, function):
        return None
    if not put_tagged(&space, 0x90 | <uint8_t>len(<tuple>args), 0, 0):
        return None
    for value in <tuple>args:
        if not put(&space, value, codes):
            return None
    if kwargs:
        if not put_tagged(&space, 0x80 | <uint8_t>len(<dict>kwargs), 0, 0):
            return None
        for name, value in (<dict>kwargs).items():
            if type(name) is not str or not put_text(&space, name) or not put(&space, value, codes):
                return None
    return PyBytes_FromStringAndSize(<char*>header, space.at - header)


cdef bint put_fields(Space* space, tuple fields, bint nested):
    """Put what is said of a ref: numbers, texts, and at the first level tuples of them."""
    if len(fields) > MOST or not put_tagged(space, 0x90 | <uint8_t>len(fields), 0, 0):
        return False
    for field in fields:
        if isinstance(field, int) and type(field) is not bool:
            if not put_int(space, field):  # one of an enumeration, too
                return False
        elif type(field) is tuple:
            if nested or not put_fields(space, field, True):
                return False
        elif not put(space, field, NO_KWARGS):
            return False
    return True


def pack_ref(uint8_t code, tuple fields, Py_ssize_t most):
    """Return the header of a result that is a ref, as `ShortSending.quick_return` does; likewise."""
    cdef uint8_t header[REF_NBYTES + 8]
    cdef uint8_t content[REF_NBYTES]
    cdef Space space, inner
    inner.at, inner.end = content, content + sizeof(content)
    space.at, space.end = header, header + min(most, <Py_ssize_t>sizeof(header))
    if not put_fields(&inner, fields, False) or not put_tagged(&space, 0x91, 0, 0):
        return None
    if not put_extension(&space, code, content, inner.at - content):
        return None
    return PyBytes_FromStringAndSize(<char*>header, space.at - header)


def pack_return(object value, Py_ssize_t most):
    """Return the header of a plain result, as `ShortSending.quick_return` does; likewise."""
    cdef uint8_t header[CAPACITY]
    cdef Space space
    space.at, space.end = header, header + min(most, <Py_ssize_t>CAPACITY)
    if not put_tagged(&space, 0x91, 0, 0) or not put(&space, value, NO_KWARGS):
        return None
    return PyBytes_FromStringAndSize(<char*>header, space.at - header)


cdef void put_little(uint8_t* at, uint64_t number, int nbytes) noexcept:
    cdef int index
    for index in range(nbytes):
        at[index] = <uint8_t>(number >> 8 * index)


def pack_frame(
    uint8_t kind, uint16_t epoch, uint64_t request, uint64_t sequence, uint64_t ack, bytes header
):
    """Return a frame without payload; see `rpcnb.wire.frames`."""
    cdef Py_ssize_t nbytes = PyBytes_GET_SIZE(header)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, FIXED_NBYTES + nbytes)
    cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(frame)
    at[0], at[1] = kind, 0
    put_little(at + 2, epoch, 2)
    put_little(at + 4, nbytes, 4)
    put_little(at + 8, request, 8)
    put_little(at + 16, sequence, 8)
    put_little(at + 24, ack, 8)
    put_little(at + 32, 0, 4)
    memcpy(at + FIXED_NBYTES, PyBytes_AS_STRING(header), nbytes)
    return frame


# --- decoding --------------------------------------------------------------------------------------

cdef struct Data:
    const uint8_t* at
    const uint8_t* end


cdef uint64_t little(const uint8_t* at, int nbytes) noexcept:
    cdef uint64_t number = 0
    cdef int index
    for index in range(nbytes):
        number |= <uint64_t>at[index] << 8 * index
    return number


cdef bint take_number(Data* data, int nbytes, uint64_t* number) noexcept:
    """Take a number of some bytes, the highest first; False where there are not as many."""
    cdef int index
    if data.end - data.at < nbytes:
        return False
    number[0] = 0
    for index in range(nbytes):
        number[0] = number[0] << 8 | data.at[index]
    data.at += nbytes
    return True


cdef object take_text(Data* data, Py_ssize_t nbytes):
    if data.end - data.at < nbytes:
        return UNUSUAL
    data.at += nbytes
    try:
        return PyUnicode_DecodeUTF8(<const char*>data.at - nbytes, nbytes, NULL)
    except UnicodeDecodeError:
        return UNUSUAL


cdef object take_bytes(Data* data, Py_ssize_t nbytes):
    if data.end - data.at < nbytes:
        return UNUSUAL
    data.at += nbytes
    return PyBytes_FromStringAndSize(<const char*>data.at - nbytes, nbytes)


cdef object take_ref(Data* data, Py_ssize_t nbytes, object decode):
    """Take an extension: its code, and content of some bytes, of which `decode` makes a ref."""
    cdef uint64_t code
    if not take_number(data, 1, &code) or code > 127:
        return UNUSUAL
    content = take_bytes(data, nbytes)
    if content is UNUSUAL:
        return UNUSUAL
    try:
        return decode(code, content)
    except FORMAT_ERRORS:
        return UNUSUAL


cdef object take(Data* data, object decode):
    """Take a value; `UNUSUAL` for what is none, or is for the general way."""
    cdef uint64_t tag, number
    cdef double real
    if not take_number(data, 1, &tag):
        return UNUSUAL
    if tag < 0x80:
        return tag
    if tag >= 0xE0:
        return <int8_t>tag
    if 0xA0 <= tag < 0xC0:
        return take_text(data, tag & 0x1F)
    if tag == 0xC0:
        return None
    if tag == 0xC2 or tag == 0xC3:
        return tag == 0xC3
    if tag == 0xCB:
        if not take_number(data, 8, &number):
            return UNUSUAL
        memcpy(&real, &number, 8)
        return real
    if 0xCC <= tag <= 0xD3:
        if not take_number(data, 1 << (tag - 0xCC & 3), &number):
            return UNUSUAL
        if tag < 0xD0:
            return number
        if tag == 0xD0:
            return <int8_t>number
        if tag == 0xD1:
            return <int16_t>number
        return <int32_t>number if tag == 0xD2 else <int64_t>number
    if tag == 0xD9 or tag == 0xDA:
        return take_text(data, number) if take_number(data, tag - 0xD8, &number) else UNUSUAL
    if tag == 0xC4 or tag == 0xC5:
        return take_bytes(data, number) if take_number(data, tag - 0xC3, &number) else UNUSUAL
    if tag == 0xC7:
        return take_ref(data, number, decode) if take_number(data, 1, &number) else UNUSUAL
    if tag == 0xD5 or tag == 0xD6:
        return take_ref(data, 2 if tag == 0xD5 else 4, decode)
    return UNUSUAL


cdef object take_kwargs(Data* data, object decode):
    cdef uint64_t tag
    cdef dict kwargs = {}
    if not take_number(data, 1, &tag) or tag & 0xF0 != 0x80:
        return UNUSUAL
    for _ in range(tag & 0x0F):
        name = take(data, decode)
        if type(name) is not str:
            return UNUSUAL
        value = take(data, decode)
        if value is UNUSUAL:
            return UNUSUAL
        kwargs[_intern(name)] = value
    return kwargs


cdef object take_call(Data* data, uint64_t request, object decode):
    """Take what `CallFunc` has: a short call."""
    cdef uint64_t tag, count
    if not take_number(data, 1, &tag) or tag & 0xFE != 0x92:
        return UNUSUAL
    function = take(data, decode)
    if type(function) is not int or function < 0:
        return UNUSUAL
    if not take_number(data, 1, &count) or count & 0xF0 != 0x90:
        return UNUSUAL
    args = []
    for _ in range(count & 0x0F):
        value = take(data, decode)
        if value is UNUSUAL:
            return UNUSUAL
        args.append(value)
    kwargs = NO_KWARGS if tag == 0x92 else take_kwargs(data, decode)
    return UNUSUAL if kwargs is UNUSUAL else (request, function, tuple(args), kwargs)


cdef object take_return(Data* data, uint64_t request, object decode):
    """Take what `Return` has: a short result."""
    cdef uint64_t tag
    if not take_number(data, 1, &tag) or tag != 0x91:
        return UNUSUAL
    value = take(data, decode)
    return UNUSUAL if value is UNUSUAL else (request, value)


cdef bint take_natural(Data* data, int64_t* number) noexcept:
    """Take a count or a handle; False for what is none, or is not as short as it could be said."""
    cdef uint64_t tag, found
    if not take_number(data, 1, &tag):
        return False
    if tag < 0x80:
        number[0] = <int64_t>tag
        return True
    if not 0xCC <= tag <= 0xCF or not take_number(data, 1 << (tag - 0xCC), &found):
        return False
    number[0] = <int64_t>found
    return number[0] >= 0


cdef object take_handles(Data* data, uint64_t request, object make):
    """Take what `FreeHandles` has, of which `make` makes one."""
    cdef uint64_t tag, count
    cdef int64_t handle, type_code, owned
    if request or not take_number(data, 1, &tag) or tag != 0x91 or not take_number(data, 1, &count):
        return UNUSUAL
    if count & 0xF0 != 0x90 or (count & 0x0F) % 3:
        return UNUSUAL
    triples = []
    for _ in range((count & 0x0F) // 3):
        if not (take_natural(data, &handle) and take_natural(data, &type_code) and take_natural(data, &owned)):
            return UNUSUAL
        if not 1 <= type_code <= LAST_TYPE_CODE or owned == 0:
            return UNUSUAL
        triples.append((handle, type_code, owned))
    return make(tuple(triples))


cdef object take_message(
    Data* data, uint8_t kind, uint64_t request, object call_ref, object return_ref, object handles
):
    """Take a header to its end."""
    message = UNUSUAL
    if kind == CALL_FUNC and call_ref is not None:
        message = take_call(data, request, call_ref)
    elif kind == RETURN and return_ref is not None:
        message = take_return(data, request, return_ref)
    elif kind == FREE_HANDLES and handles is not None:
        message = take_handles(data, request, handles)
    return message if data.at == data.end else UNUSUAL


def unpack_frame(
    object buffer,
    Py_ssize_t start,
    Py_ssize_t end,
    uint16_t epoch,
    uint64_t sequence,
    uint64_t acked,
    uint64_t sent,
    Py_ssize_t most,
    object call_ref,
    object return_ref,
    object handles,
):
    """Return the end, the ack and the short message of the frame that begins at `start`.

    None for a frame that is not usual, not as it should be, or not all there.

    Parameters
    ----------
    buffer, start, end
        What has arrived is from `start` to `end` in it.
    epoch, sequence
        What the frame must say.
    acked, sent
        Between which its ack must be.
    most
        How long its header may be [B].
    call_ref, return_ref : callable or None
        Make refs of extensions in a call, and in a result; without one that kind is not taken.
    handles : callable or None
        Makes a message of handles that are given up; likewise.
    """
    cdef Py_buffer view
    cdef Data data
    cdef const uint8_t* fixed
    cdef uint64_t ack
    cdef Py_ssize_t nbytes
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end - FIXED_NBYTES or end > view.len:
            return None
        fixed = <const uint8_t*>view.buf + start
        nbytes = <Py_ssize_t>little(fixed + 4, 4)
        ack = little(fixed + 24, 8)
        if (
            nbytes > most
            or nbytes > end - start - FIXED_NBYTES
            or fixed[1] != 0
            or little(fixed + 2, 2) != epoch
            or little(fixed + 16, 8) != sequence
            or not acked <= ack <= sent
            or little(fixed + 32, 4) != 0
        ):
            return None
        data.at = fixed + FIXED_NBYTES
        data.end = data.at + nbytes
        message = take_message(&data, fixed[0], little(fixed + 8, 8), call_ref, return_ref, handles)
        return None if message is UNUSUAL else (start + FIXED_NBYTES + nbytes, ack, message)
    finally:
        PyBuffer_Release(&view)
