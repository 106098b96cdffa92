"""Images that name their patient in every way known, and what must never be seen of it."""

from __future__ import annotations

from dicom_factory import image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

SECRET = "Mustermann"


def stuffed(**elements: object) -> Dataset:
    """An image with whatever may identify its patient, each with SECRET or a mark of its own."""
    marks = {
        "PatientName": f"{SECRET}^Erika",
        "PatientID": "MRN-4711-SECRET",
        "PatientBirthDate": "19640812",
        "PatientBirthTime": "031415",
        "PatientSex": "F",
        "PatientAge": "059Y",
        "PatientSize": "1.73421",
        "PatientWeight": "71.2345",
        "OtherPatientIDs": ["OTHER-4712", "OTHER-4713"],
        "PatientAddress": f"{SECRET}strasse 5",
        "PatientTelephoneNumbers": "+49-30-123456",
        "PatientMotherBirthName": f"{SECRET}mother",
        "PatientComments": f"{SECRET} is known to the clinic",
        "AdditionalPatientHistory": f"{SECRET} history",
        "EthnicGroup": f"{SECRET}group",
        "MilitaryRank": f"{SECRET}rank",
        "Occupation": f"{SECRET}work",
        "AccessionNumber": "ACC-998877",
        "InstitutionName": f"{SECRET} hospital",
        "InstitutionAddress": f"{SECRET} city",
        "InstitutionalDepartmentName": f"{SECRET} ward",
        "StationName": "STATION-55",
        "DeviceSerialNumber": "SERIAL-66",
        "ManufacturerModelName": f"{SECRET} model",
        "ReferringPhysicianName": f"{SECRET}^Doctor",
        "PerformingPhysicianName": f"{SECRET}^Other",
        "OperatorsName": f"{SECRET}^Operator",
        "PhysiciansOfRecord": f"{SECRET}^Record",
        "RequestingPhysician": f"{SECRET}^Asker",
        "StudyDate": "20231117",
        "SeriesDate": "20231118",
        "AcquisitionDate": "20231119",
        "ContentDate": "20231120",
        "AcquisitionDateTime": "20231121111213.141516",
        "InstanceCreationDate": "20231122",
        "StudyTime": "101112.131415",
        "ContentTime": "111213.141516",
        "StudyID": "STUDY-77",
        "StudyDescription": f"{SECRET} study",
        "SeriesDescription": f"{SECRET} series",
        "ProtocolName": f"{SECRET} protocol",
        "ImageComments": f"{SECRET} image",
        "DerivationDescription": f"{SECRET} derived",
        "RequestedProcedureDescription": f"{SECRET} procedure",
        "PerformedProcedureStepStartDate": "20231123",
        "PositionReferenceIndicator": f"{SECRET}ref",
        "ReceiveCoilName": f"{SECRET}coil",
        "SoftwareVersions": "SOFT-88",
        "StudyInstanceUID": "1.2.840.99999.4711.1",
        "SeriesInstanceUID": "1.2.840.99999.4711.2",
        "SOPInstanceUID": "1.2.840.99999.4711.3",
        "FrameOfReferenceUID": "1.2.840.99999.4711.4",
        "InstanceCreatorUID": "1.2.840.99999.4711.5",
        "IrradiationEventUID": "1.2.840.99999.4711.6",
        "BurnedInAnnotation": "NO",
        "PatientIdentityRemoved": "NO",
    }
    ds = image(**{**marks, **elements})
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    reference.ReferencedSOPInstanceUID = "1.2.840.99999.4711.7"
    nested = Dataset()
    nested.PatientName = f"{SECRET}^Nested"
    nested.ReferencedImageSequence = Sequence([reference])
    ds.ReferencedPatientSequence = Sequence([nested])
    ds.RequestAttributesSequence = Sequence([nested])
    block = ds.private_block(0x0009, "GEMS_IDEN_01", create=True)
    block.add_new(0x01, "LO", f"{SECRET} private")
    block.add_new(0x27, "SL", 1700222333)
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(
        0x10, "OB", f"{SECRET} in a private blob".encode()
    )
    ds.add_new(0x60000010, "US", 16)  # an overlay, where annotations are drawn
    ds.add_new(0x60000011, "US", 16)
    ds.add_new(0x60000022, "LO", f"{SECRET} overlay")
    ds.add_new(0x60003000, "OW", SECRET.encode() * 4)
    ds.add_new(0x40080114, "PN", f"{SECRET}^Interpreter")
    ds.preamble = SECRET.encode().ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = "AE-SECRET"
    ds.file_meta.ImplementationVersionName = "MAKER-99"
    ds.file_meta.PrivateInformationCreatorUID = "1.2.840.99999.4711.8"
    ds.file_meta.PrivateInformation = f"{SECRET} meta!".encode()
    return ds


MARKS = [
    SECRET, "MRN-4711", "19640812", "031415", "059Y", "1.73421", "71.2345", "OTHER-471", "+49-30",
    "ACC-998877", "STATION-55", "SERIAL-66", "2023", "101112", "111213", "STUDY-77", "SOFT-88",
    "1.2.840.99999", "AE-SECRET", "MAKER-99", "1700222333", "GEMS_IDEN", "CSA HEADER"
]  # fmt: skip
