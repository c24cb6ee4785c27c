"""The folders of OTB2015: which show persons, and which are annotated only in part."""

_PERSONS = """
Basketball BlurBody Bolt Bolt2 Couple Crossing Crowds Dancer Dancer2 David3 Diving Girl2 Gym Human2 Human3 Human4
Human5 Human6 Human7 Human8 Human9 Jogging Jump MotorRolling MountainBike Singer1 Singer2 Skater Skater2 Skating1
Skating2 Skiing Subway Walking Walking2 Woman
"""
PERSON_FOLDERS = frozenset(_PERSONS.split())
"""OTB2015-Person of the SkeleVision paper: 36 folders that hold 38 sequences (Jogging and Skating2 hold two each)."""

_OTHERS = """
Biker Bird1 Bird2 BlurCar1 BlurCar2 BlurCar3 BlurCar4 BlurFace BlurOwl Board Box Boy Car1 Car2 Car24 Car4 CarDark
CarScale ClifBar Coke Coupon David David2 Deer Dog Dog1 Doll DragonBaby Dudek FaceOcc1 FaceOcc2 Fish FleetFace
Football Football1 Freeman1 Freeman3 Freeman4 Girl Ironman Jumping KiteSurf Lemming Liquor Man Matrix Mhyang Panda
RedTeam Rubik Shaking Soccer Surfer Suv Sylvester Tiger1 Tiger2 Toy Trans Trellis Twinnings Vase
"""
OTHER_FOLDERS = frozenset(_OTHERS.split())
"""The other 62 folders of OTB2015: cars, faces, animals, objects, and persons of whom only a part is tracked."""

ANNOTATED_FRAMES = {
    "David": (300, 770),
    "Diving": (1, 215),
    "Football1": (1, 74),
    "Freeman3": (1, 460),
    "Freeman4": (1, 283),
}
"""First and last image number that the ground truth covers, where the distributed folder has more images."""
